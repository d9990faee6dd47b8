//! How agents do what they can. A tool asks one of the routes, in this process and without the layers around it, so that filters, limits
//! and refusals are those of the route; its answer is cut down to what an agent needs, because an agent pays for each word.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{Method, header};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use rmcp::model::{Tool as Description, ToolAnnotations};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::error::{ApiError, Problem};
use super::passages::{self, Passages};
use super::reading::length;
use super::who::Who;
use crate::context::Shared;
use crate::model::named_token::Right;
use crate::model::transcript::TranscriptId;

/// Calls in an answer, unless the agent asks for more, and at most.
pub(super) const FEW: i64 = 10;
pub(super) const MANY: i64 = 50;

/// Events in the timeline of a call, the newest.
const EVENTS: usize = 30;

/// Characters of a transcript that a call shows.
const BEGINNING: usize = 400;

/// Terms and groups in a report of accuracy, and recordings, transcripts and key terms of a call.
const LISTED: usize = 50;

/// Characters of a key, as `Idempotency-Key` has them.
const LONGEST_KEY: usize = 255;

pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) right: Right,
    /// The schemas of what it takes and of what it answers.
    pub(super) input: fn() -> Value,
    pub(super) output: fn() -> Value,
    pub(super) ask: Ask,
}

/// How a tool finds its answer.
pub(super) enum Ask {
    /// Which route it asks, and what an agent needs of its answer.
    Route(fn(&Map<String, Value>) -> Asked, fn(Value) -> Value),
    Transcript,
}

/// A request to a route.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Value,
    /// As `Idempotency-Key`, unless it is empty.
    pub(super) key: String,
}

/// What a tool answers.
pub(super) struct Answer {
    pub(super) json: Value,
    /// The same for reading, unless the JSON is good for that.
    pub(super) text: Option<String>,
}

/// What tools work with.
pub(super) struct Toolbox {
    context: Shared,
    routes: TowerToHyperService<Router>,
}

impl Tool {
    /// Why somebody may not use it, if so. Who was let in without a named token may only read.
    pub(super) fn refusal(&self, who: &Who) -> Option<String> {
        let right = self.right;
        match who {
            Who::Named(token) if token.rights.include(right) => None,
            Who::Named(token) => Some(said(ApiError::NotPermitted { name: token.name.to_string(), right })),
            Who::Here | Who::Token | Who::Session if right == Right::Read => None,
            Who::Here | Who::Token | Who::Session => {
                Some(format!("{} needs a named token with the right {}: see /tokens", self.name, right.as_str()))
            }
        }
    }

    /// As the protocol has it.
    pub(super) fn described(&self) -> Description {
        let schema = |schema: Value| Arc::new(schema.as_object().cloned().unwrap_or_default());
        Description::new(self.name, self.description, schema((self.input)()))
            .with_title(self.title)
            .with_raw_output_schema(schema((self.output)()))
            .with_annotations(
                ToolAnnotations::new().read_only(self.right == Right::Read).open_world(self.right == Right::Dial),
            )
    }

    /// Fails if an argument is missing, if there is no such argument, or if it is no text where one is expected.
    fn check(&self, arguments: &Map<String, Value>) -> Result<(), String> {
        let schema = (self.input)();
        if let Some(other) = arguments.keys().find(|name| schema["properties"].get(name.as_str()).is_none()) {
            return Err(format!("there is no argument {other:?} here"));
        }
        let is_no_text = |(name, value): &(&String, &Value)| {
            schema["properties"][name.as_str()]["type"] == "string" && !value.is_string() && !value.is_null()
        };
        if let Some((name, _)) = arguments.iter().find(is_no_text) {
            return Err(format!("{name}: expected a text"));
        }
        // Without it, the same request sent again would ring again.
        if let Some(key) = arguments.get("key").and_then(Value::as_str)
            && (key.trim().is_empty() || key.len() > LONGEST_KEY || !key.chars().all(|c| (' '..='~').contains(&c)))
        {
            return Err(format!("key: expected 1 to {LONGEST_KEY} ASCII characters"));
        }
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let is_empty = |value: &Value| value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
        // An empty text is what deletes words.
        let is_missing = |name: &&str| arguments.get(*name).is_none_or(|value| *name != "text" && is_empty(value));
        let missing = required.into_iter().find(is_missing);
        missing.map_or(Ok(()), |name| Err(format!("the argument {name:?} is missing")))
    }
}

impl Toolbox {
    /// `routes` have no layer that asks who it is.
    pub(super) fn new(context: Shared, routes: Router) -> Self {
        Self { context, routes: TowerToHyperService::new(routes) }
    }

    /// Uses a tool for the sender of the request with this head. Fails with a sentence for the agent.
    pub(super) async fn use_tool(
        &self,
        tool: &Tool,
        arguments: Map<String, Value>,
        head: &Parts,
    ) -> Result<Answer, String> {
        tool.check(&arguments)?;
        match &tool.ask {
            Ask::Route(asked, brief) => {
                let json = brief(self.ask(asked(&arguments), head).await?);
                Ok(Answer { json, text: None })
            }
            Ask::Transcript => {
                let passages = self.passages(&arguments).await?;
                let text = Some(passages.text());
                Ok(Answer { json: json!(passages), text })
            }
        }
    }

    /// Asks a route. A route knows the sender by the extensions of the head.
    async fn ask(&self, asked: Asked, head: &Parts) -> Result<Value, String> {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(asked.query).finish();
        let body = if asked.body.is_null() { Body::empty() } else { Body::from(asked.body.to_string()) };
        let mut request = Request::builder()
            .method(asked.method)
            .uri(format!("{}?{query}", asked.path))
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json");
        if !asked.key.is_empty() {
            request = request.header("idempotency-key", asked.key);
        }
        if let Some(host) = head.headers.get(header::HOST) {
            request = request.header(header::HOST, host);
        }
        let mut request = request.body(body).map_err(|error| error.to_string())?;
        if let Some(who) = head.extensions.get::<Who>() {
            request.extensions_mut().insert(who.clone());
        }
        let Ok(mut response) = self.routes.call(request).await;
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            return Err(format!("{}: {}", problem.title, problem.detail));
        }
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.map_err(|error| error.to_string())?;
        serde_json::from_slice(&body).map_err(|_| format!("the answer has the status {status} and is no JSON"))
    }

    async fn passages(&self, arguments: &Map<String, Value>) -> Result<Passages, String> {
        let id: TranscriptId = text(arguments, "id").parse().map_err(|bad| format!("id: {bad}"))?;
        let second = |name: &str| match arguments.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_f64().filter(|seconds| (0.0..1e9).contains(seconds)) {
                Some(seconds) => Ok(Some((seconds * 1_000.0) as i64)),
                None => Err(format!("{name}: expected seconds")),
            },
        };
        let first = match text(arguments, "cursor") {
            "" => 0,
            cursor => cursor.parse().map_err(|_| "cursor: expected the `next` of the answer before".to_owned())?,
        };
        let (from, to) = (second("from")?, second("to")?);
        passages::read(&self.context, &id, (from, to), first).await.map_err(said)
    }
}

/// What an error says to an agent.
fn said(error: ApiError) -> String {
    let response = axum::response::IntoResponse::into_response(error);
    let problem = response.extensions().get::<Problem>();
    problem.map_or_else(String::new, |problem| format!("{}: {}", problem.title, problem.detail))
}

impl Asked {
    pub(super) fn get(segments: &[&str]) -> Self {
        let escaped = |segment: &&str| {
            percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let path = segments.iter().map(escaped).map(|segment| format!("/{segment}")).collect();
        Self { method: Method::GET, path, query: Vec::new(), body: Value::Null, key: String::new() }
    }

    pub(super) fn post(segments: &[&str], body: Value) -> Self {
        Self { method: Method::POST, body, ..Self::get(segments) }
    }

    /// A list with these filters.
    pub(super) fn list(arguments: &Map<String, Value>) -> Self {
        let mut query = pairs(arguments);
        let limit = query.iter().position(|(name, _)| name == "limit").map(|index| query.remove(index).1);
        let limit = limit.map_or(FEW.to_string(), |asked| match asked.parse::<i64>() {
            Ok(number) => number.min(MANY).to_string(),
            // The route says what is wrong with it.
            Err(_) => asked,
        });
        query.push(("limit".to_owned(), limit));
        Self { query, ..Self::get(&["items"]) }
    }
}

/// The arguments as a query has them.
pub(super) fn pairs(arguments: &Map<String, Value>) -> Vec<(String, String)> {
    let set = arguments.iter().filter(|(_, value)| !value.is_null());
    set.map(|(name, value)| (name.clone(), written(value))).collect()
}

/// A text as it is, and anything else as JSON.
fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn text<'a>(arguments: &'a Map<String, Value>, name: &str) -> &'a str {
    arguments.get(name).and_then(Value::as_str).unwrap_or_default().trim()
}

/// What an agent needs of a call in a list.
fn brief(item: &Value) -> Map<String, Value> {
    const FIELDS: [&str; 18] = [
        "id",
        "sid",
        "kind",
        "call_kind",
        "direction",
        "to",
        "from",
        "contact",
        "tag",
        "title",
        "state",
        "progress",
        "reason",
        "created_at",
        "duration_seconds",
        "checked",
        "cost_usd",
        "words",
    ];
    FIELDS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), item.get(name).filter(|value| !value.is_null())?.clone())))
        .collect()
}

pub(super) fn brief_list(found: &Value) -> Value {
    let calls: Vec<Value> = found["items"].as_array().into_iter().flatten().map(brief_hit).collect();
    json!({"calls": calls, "next": found["next"]})
}

/// A call of a list, and what was said in it that a search has found.
fn brief_hit(item: &Value) -> Value {
    let mut call = brief(item);
    if let Some(pieces) = item["snippet"].as_array() {
        let piece = |piece: &Value| {
            let text = piece["text"].as_str().unwrap_or_default();
            if piece["hit"] == true { format!("**{text}**") } else { text.to_owned() }
        };
        // It says the same at another place.
        call.remove("words");
        call.insert("snippet".to_owned(), pieces.iter().map(piece).collect::<String>().into());
        call.insert("transcript_id".to_owned(), item["transcript_id"].clone());
        call.insert("at_ms".to_owned(), item["at_ms"].clone());
        call.insert("at".to_owned(), item["at_ms"].as_i64().map(|ms| length(&(ms / 1_000))).into());
    }
    call.into()
}

pub(super) fn details(call: &Value) -> Value {
    let mut told = brief(call);
    for name in ["legs", "speakers", "recordings", "keyterms"] {
        let all = call[name].as_array().into_iter().flatten();
        told.insert(name.to_owned(), all.take(LISTED).cloned().collect());
    }
    let events = call["timeline"].as_array().map(Vec::as_slice).unwrap_or_default();
    told.insert("timeline".to_owned(), events[events.len().saturating_sub(EVENTS)..].into());
    let transcripts = call["transcripts"].as_array().into_iter().flatten().take(LISTED).map(|transcript| {
        let text = transcript["text"].as_str().unwrap_or_default();
        json!({
            "id": transcript["id"],
            "recording_sid": transcript["recording_sid"],
            "state": transcript["state"],
            "reason": transcript["reason"],
            "created_at": transcript["created_at"],
            "version": transcript["version"],
            "checked": transcript["checked"],
            "speech_model_used": transcript["speech_model_used"],
            "words": text.split_whitespace().count(),
            "beginning": text.chars().take(BEGINNING).collect::<String>(),
        })
    });
    told.insert("transcripts".to_owned(), transcripts.collect());
    told.into()
}

/// What an agent needs of a call that it has dialed.
pub(super) fn called(call: &Value) -> Value {
    brief(call).into()
}

/// A report of accuracy with the first of its groups and terms, and how many are left out.
pub(super) fn beginning_of_report(mut report: Value) -> Value {
    for (name, left_out) in [("groups", "groups_left_out"), ("terms", "terms_left_out")] {
        let Some(all) = report[name].as_array_mut() else { continue };
        let more = all.len().saturating_sub(LISTED);
        all.truncate(LISTED);
        if more > 0 {
            report[left_out] = json!(more);
        }
    }
    report
}
