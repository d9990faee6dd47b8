//! `/mcp`: the door for agents, which speak the Model Context Protocol over streamable HTTP. Each request stands alone and is
//! answered with JSON, so that any instance can answer it, and nothing holds up a stop.
//!
//! Who may come in is decided before (`access`), by the same rules as everywhere: the crate's own checks of `Host` and `Origin`
//! would refuse what these allow.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::Response;
use futures_util::FutureExt as _;
use rmcp::ErrorData;
use rmcp::handler::server::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, InitializeResult,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use super::error::ApiError;
use super::extract::{NoParameters, Query, read_body};
use super::toolbox::{Answer, Tool as OwnTool, Toolbox};
use super::tools;
use super::who::Who;

/// Maximum size of a request in bytes.
const LARGEST: usize = 256 << 10;

/// What an agent learns first.
const INSTRUCTIONS: &str = "callscribe dials phone calls, records and transcribes them. To answer a question about what was \
    said, call search_calls; each match has the call, the transcript and the moment in the audio. Read around it with \
    get_transcript, by seconds. Answers are short and say how to go on: send `next` back as `cursor`.";

/// Answers the requests of agents.
#[derive(Clone)]
pub(super) struct Door(Arc<StreamableHttpService<Agent, NeverSessionManager>>);

/// What an agent can do.
#[derive(Clone)]
struct Agent(Arc<Toolbox>);

impl Door {
    pub(super) fn new(toolbox: Toolbox) -> Self {
        let agent = Agent(Arc::new(toolbox));
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .disable_allowed_hosts()
            .disable_allowed_origins();
        Self(Arc::new(StreamableHttpService::new(move || Ok(agent.clone()), Arc::default(), config)))
    }
}

pub(super) async fn serve(
    Extension(door): Extension<Door>,
    _: Query<NoParameters>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let body = read_body(body, LARGEST).await?;
    let answer = door.0.handle(Request::from_parts(parts, http_body_util::Full::new(body))).await;
    Ok(answer.map(Body::new))
}

impl ServerHandler for Agent {
    fn get_info(&self) -> InitializeResult {
        InitializeResult::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("callscribe", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let (who, _) = sender(&context)?;
        Ok(ListToolsResult::with_all_items(tools::of(who).map(|tool| tool.described()).collect()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::named(name).map(OwnTool::described)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let (who, parts) = sender(&context)?;
        let Some(tool) = tools::named(&request.name) else {
            return Err(ErrorData::invalid_params(format!("there is no tool {:?}", request.name), None));
        };
        let answer = match tool.refusal(who) {
            None => {
                // The crate runs this in a task of its own, which neither ends with its client nor answers for a panic.
                let used = self.0.use_tool(tool, request.arguments.unwrap_or_default(), parts);
                tokio::select! {
                    used = AssertUnwindSafe(used).catch_unwind() => used.map_err(|_| failed("a bug; the log has the details"))?,
                    () = context.ct.cancelled() => return Err(failed("nobody waits for the answer")),
                }
            }
            Some(why) => Err(why),
        };
        Ok(match answer {
            Ok(Answer { json, text: None }) => CallToolResult::structured(json),
            Ok(Answer { json, text: Some(text) }) => {
                let mut result = CallToolResult::structured(json);
                result.content = vec![ContentBlock::text(text)];
                result
            }
            Err(why) => CallToolResult::error(vec![ContentBlock::text(why)]),
        }
        .into())
    }
}

/// Who sends a request, and its head.
fn sender(context: &RequestContext<RoleServer>) -> Result<(&Who, &Parts), ErrorData> {
    let parts = context.extensions.get::<Parts>();
    let sender = parts.and_then(|parts| Some((parts.extensions.get::<Who>()?, parts)));
    sender.ok_or_else(|| failed("the request has no sender"))
}

fn failed(why: &'static str) -> ErrorData {
    ErrorData::internal_error(why, None)
}
