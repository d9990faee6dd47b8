//! `/transcript/<id>`: the state of a transcript, or its text.

use std::time::Duration;

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::document::{Heading, stem};
use super::error::{ApiError, LOOK_AGAIN};
use super::extract::{Id, Named, preferred, wants_page};
use super::labels;
use super::list_page::back;
use super::pages::Notices;
use super::response::{file_name, json, page, see_other, text};
use super::said::Said;
use super::view::{CallView, CheckView, SubmissionView, TranscriptView, ordered_keyterms};
use super::zone::Zone;
use crate::accuracy::marks::UNKNOWN;
use crate::clients::assemblyai::{Transcript, TranscriptStatus};
use crate::clients::json::most_bytes;
use crate::context::Shared;
use crate::export;
use crate::model::call::{CallName, CallState};
use crate::model::search;
use crate::model::speakers::Speakers;
use crate::model::standing::Progress;
use crate::model::transcript::{OrderId, TranscriptId, TranscriptState};
use crate::pipeline::{self, transcription};

/// Maximum of `wait`, in seconds.
const LONGEST_WAIT: u64 = 120;

/// The media type of a DOCX.
pub(super) const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

/// The query.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Options {
    /// Without it, `Accept` chooses between `json` and `text`.
    #[param(inline)]
    format: Option<Format>,
    /// How many seconds to wait until it is finished.
    #[param(value_type = Option<u64>, maximum = 120)]
    wait: Option<String>,
    /// The search that found the transcript, for its page.
    q: Option<String>,
    /// `none` to leave speakers out.
    #[param(pattern = "^none$")]
    speakers: Option<String>,
    /// Whether to leave all corrections out.
    #[param(value_type = Option<bool>)]
    original: Option<String>,
    /// The time zone of dates, UTC if there is none.
    #[serde(default)]
    zone: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    Json,
    Text,
    Srt,
    Vtt,
    Docx,
    Md,
    Words,
    Html,
}

/// The page of a transcript whose call is not known.
#[derive(Template)]
#[template(path = "transcript.html", config = "src/web/pages/askama.toml")]
struct TranscriptPage {
    notices: Notices,
    /// The address of the list that it was opened from.
    back: String,
    transcript: TranscriptView,
    progress: Progress,
    /// The URL of the audio, if it is not Twilio's.
    audio: Option<String>,
    /// The newest row of the history when this was read.
    since: i64,
    /// Seconds until a browser without scripts reloads.
    refresh: u64,
}

/// Answers with AssemblyAI's JSON unchanged, or with the text, captions or document of a finished transcript.
pub(super) async fn transcript(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(id): Id<TranscriptId>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query = Named::<Options>::of_query(&uri)?;
    let options = if query.named.format == Some(Format::Html) { query.named } else { query.alone()? };
    let wait = match options.wait.as_deref().map(str::parse::<u64>) {
        None => 0,
        Some(Ok(seconds)) => seconds.min(LONGEST_WAIT),
        Some(Err(_)) => return Err(ApiError::BadRequest("wait: expected whole seconds, 120 at most".to_owned())),
    };
    if options.speakers.as_deref().is_some_and(|speakers| speakers != "none") {
        return Err(ApiError::BadRequest("speakers: expected none, to leave them out".to_owned()));
    }
    let is_original = match options.original.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(ApiError::BadRequest("original: expected true or false".to_owned())),
    };
    let zone = Zone::named(&options.zone, wants_page(&headers))?;
    if options.format == Some(Format::Html) {
        let q = options.q.unwrap_or_default();
        return shown(&context, &headers, &id, Duration::from_secs(wait), &q).await;
    }
    if options.q.is_some() {
        return Err(ApiError::BadRequest("q: expected with format=html only".to_owned()));
    }
    let format = options.format.unwrap_or(match preferred(&headers, &["application/json", "text/plain"]) {
        Some("text/plain") => Format::Text,
        _ => Format::Json,
    });
    let reply = transcription::transcript(&context, &id, Duration::from_secs(wait)).await?;
    let call = context.store.read().await?.call_of_transcript(&id).await?.map(|call| CallView::of(&call));
    let as_file = |response, extension| as_file(response, call.as_ref(), &id, &zone, extension);
    if format == Format::Json {
        return Ok(as_file(json(&reply.json), "json"));
    }
    match reply.transcript.status {
        TranscriptStatus::Queued | TranscriptStatus::Processing => {
            Ok(unfinished(&reply.transcript, wants_page(&headers)))
        }
        TranscriptStatus::Error => {
            let words = reply.transcript.error.unwrap_or_else(|| "AssemblyAI does not say why".to_owned());
            Err(ApiError::TranscriptFailed(format!("transcript {id} failed: {words}")))
        }
        TranscriptStatus::Completed => {
            let speakers = match options.speakers {
                Some(_) => None,
                None => Some(speakers(&context, &id).await?),
            };
            let model = reply.transcript.speech_model_used.clone();
            let said = Said::of(&context, &id, reply, is_original).await?;
            Ok(match format {
                Format::Docx | Format::Md => {
                    let paragraphs = said.paragraphs(&context, speakers).await?;
                    let (mut conn, id) = (context.store.read().await?, &id);
                    let stored = conn.order_by_transcript_id(id).await?;
                    let recording = match stored.as_ref().and_then(|stored| stored.recording.as_ref()) {
                        Some(recording) => conn.recording(recording).await?,
                        None => None,
                    };
                    drop(conn);
                    let ordered_at = || Timestamp::from_millisecond(stored.as_ref()?.created_at).ok();
                    let heading = Heading {
                        call: call.as_ref(),
                        at: call.as_ref().and_then(|call| call.created_at).or_else(ordered_at),
                        seconds: recording.and_then(|recording| recording.duration_seconds),
                        model: model.as_deref(),
                        is_checked: !is_original && stored.as_ref().is_some_and(|stored| stored.checked_at.is_some()),
                        parameters: stored.as_ref().map_or("{}", |stored| stored.parameters.as_str()),
                    };
                    let document = heading.document(&zone, paragraphs);
                    if format == Format::Md {
                        let markdown = export::markdown(&document);
                        as_file(with_type(markdown, "text/markdown; charset=utf-8"), "md")
                    } else {
                        as_file(with_type(export::docx(&document), DOCX), "docx")
                    }
                }
                Format::Srt => {
                    let srt = said.captions(&context, speakers, export::srt).await?;
                    as_file(with_type(srt, "application/x-subrip; charset=utf-8"), "srt")
                }
                Format::Vtt => {
                    let vtt = said.captions(&context, speakers, export::vtt).await?;
                    as_file(with_type(vtt, "text/vtt; charset=utf-8"), "vtt")
                }
                Format::Words => {
                    let speakers = speakers.unwrap_or_default();
                    Json(said.words(&context, &id, speakers).await?).into_response()
                }
                Format::Json | Format::Html | Format::Text => {
                    let whole = said.text();
                    let dialog = match speakers {
                        Some(speakers) => said.dialog(&context, speakers).await?,
                        None => None,
                    };
                    as_file(text(&dialog.unwrap_or(whole)), "txt")
                }
            })
        }
    }
}

/// Returns what the speakers of a transcript are called.
pub(super) async fn speakers(context: &Shared, id: &TranscriptId) -> Result<Speakers, ApiError> {
    let mut conn = context.store.read().await?;
    match conn.call_of_transcript(id).await? {
        Some(call) => Ok(pipeline::speakers::of(&mut conn, &call).await?),
        None => Ok(Speakers::default()),
    }
}

/// Answers with the transcript's page, or redirects to the page of its call.
async fn shown(
    context: &Shared,
    headers: &HeaderMap,
    id: &TranscriptId,
    wait: Duration,
    q: &str,
) -> Result<Response, ApiError> {
    let since = context.store.read().await?.newest_change().await?;
    let transcript = transcription::transcript(context, id, wait).await?.transcript;
    let mut conn = context.store.read().await?;
    let mut stored = conn.transcript_by_transcript_id(id).await?;
    if let Some(call) = stored.as_ref().and_then(|stored| stored.call.clone())
        && let Some(call) = conn.call(&CallName::Id(call)).await?
    {
        return Ok(see_other(&CallView::of(&call).path()));
    }
    let (progress, state) = match transcript.status {
        TranscriptStatus::Queued => (Progress::Transcribing, TranscriptState::Queued),
        TranscriptStatus::Processing => (Progress::Transcribing, TranscriptState::Processing),
        TranscriptStatus::Completed => (Progress::Done, TranscriptState::Completed),
        TranscriptStatus::Error => (Progress::Failed, TranscriptState::Failed),
    };
    let submitted = match &stored {
        Some(stored) => SubmissionView::of(stored),
        None => SubmissionView { speech_model_used: transcript.speech_model_used, ..SubmissionView::default() },
    };
    let json_bytes = stored.as_mut().and_then(|stored| stored.json.take()).map_or(0, |json| most_bytes(&json));
    // Others may need the connection while this waits.
    drop(conn);
    let _turn = context.turn_to_show(json_bytes).await;
    let mut shown = TranscriptView {
        id: Some(id.to_string()),
        recording_sid: stored.as_ref().and_then(|stored| Some(stored.recording.as_ref()?.to_string())),
        state: state.as_str(),
        known_state: state,
        reason: transcript.error,
        text: transcript.text.or_else(|| (state == TranscriptState::Completed).then(String::new)),
        created_at: stored.as_ref().and_then(|stored| Timestamp::from_millisecond(stored.created_at).ok()),
        cost_usd: stored.as_ref().and_then(|stored| stored.cost),
        submitted,
        may_retry: false,
        keyterms: stored.as_ref().map(ordered_keyterms).unwrap_or_default(),
        before: None,
        version: stored.as_ref().map_or(0, |stored| stored.version),
        check: stored.as_ref().map(CheckView::of).unwrap_or_default(),
        paragraphs: Vec::new(),
        threshold: UNKNOWN,
        json_bytes,
        order: stored.map_or_else(|| OrderId::from(id.to_string()), |stored| stored.id),
    };
    shown.read_words(&mut context.store.read().await?, &search::Query::parse(q), &Speakers::default()).await?;
    let (notices, refresh, back) = (Notices::of(context), LOOK_AGAIN.as_secs(), back(headers));
    let audio = transcript.audio_url;
    Ok(page(TranscriptPage { notices, back, transcript: shown, progress, audio, since, refresh }.render()))
}

impl TranscriptPage {
    fn is_following(&self) -> bool {
        self.progress == Progress::Transcribing
    }

    fn headline(&self) -> &'static str {
        labels::headline(Some(CallState::Completed), self.progress)
    }

    fn waits_for(&self) -> &'static str {
        match self.progress {
            Progress::Done => "Read below.",
            _ => labels::transcript(self.transcript.known_state),
        }
    }
}

fn with_type(file: impl IntoResponse, media_type: &'static str) -> Response {
    ([(CONTENT_TYPE, media_type)], file).into_response()
}

/// Adds a file name: when the call was, and with whom. Browsers show the response if they can, and use the name when they save it.
fn as_file(
    mut response: Response,
    call: Option<&CallView>,
    id: &TranscriptId,
    zone: &Zone,
    extension: &str,
) -> Response {
    let stem = call.map_or_else(|| format!("transcript-{id}"), |call| stem(call, zone));
    response.headers_mut().insert(CONTENT_DISPOSITION, file_name(&format!("{stem}.{extension}"), false));
    response
}

/// 202. A browser asks again automatically.
fn unfinished(transcript: &Transcript, is_browser: bool) -> Response {
    let status = match transcript.status {
        TranscriptStatus::Queued => "queued",
        _ => "processing",
    };
    let mut response =
        (StatusCode::ACCEPTED, text(&format!("transcript {} is {status}", transcript.id))).into_response();
    let seconds = HeaderValue::from(LOOK_AGAIN.as_secs());
    if is_browser {
        response.headers_mut().insert(HeaderName::from_static("refresh"), seconds.clone());
    }
    response.headers_mut().insert(RETRY_AFTER, seconds);
    response
}
