//! `/calls/<sid>`: a call's page. It begins with the tutorial's sentence and follows the call until it is recorded.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

use super::error::{ApiError, LOOK_AGAIN};
use super::extract::Id;
use super::{dial, page};
use crate::clock;
use crate::context::Shared;
use crate::model::call::CallSid;
use crate::pipeline::call::{self, Recorded};

#[derive(Template)]
#[template(path = "call.html", config = "src/web/pages/askama.toml")]
struct CallPage {
    notice: Option<&'static str>,
    sentence: String,
    status: String,
    is_up: bool,
    is_following: bool,
    recordings: Vec<Recorded>,
}

/// Reloads itself as long as something is still to come; a reload asks Twilio how things stand and dials nothing.
pub(super) async fn page_of_call(State(context): State<Shared>, Id(sid): Id<CallSid>) -> Result<Response, ApiError> {
    let found = call::look(&context, &sid).await?;
    let recordings = call::recordings(&context, &sid).await?;
    let is_outbound = found.direction.as_deref().is_some_and(|direction| direction.starts_with("outbound"));
    let sentence = match is_outbound {
        true => dial::sentence(found.to.as_deref().unwrap_or("somebody"), &sid),
        false => format!("call from {}. call SID is: {sid}", found.from.as_deref().unwrap_or("somebody")),
    };
    let is_following = call::is_recording_awaited(&found, &recordings, clock::now());
    let is_up = found.is_up();
    let mut response = page(
        CallPage { notice: context.notice, sentence, status: found.status, is_up, is_following, recordings }.render(),
    );
    if is_following {
        let seconds = HeaderValue::from(LOOK_AGAIN.as_secs());
        response.headers_mut().insert(HeaderName::from_static("refresh"), seconds);
    }
    Ok(response)
}
