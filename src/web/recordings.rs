//! `/recordings/<sid>`: a recording's audio, without Twilio's credentials.

use std::str::FromStr;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, header};

use super::error::ApiError;
use super::extract::Id;
use crate::clients::twilio::{MediaFormat, MediaRequest};
use crate::context::Shared;
use crate::model::BadId;
use crate::model::recording::RecordingSid;
use crate::pipeline::transcription;

/// Headers of Twilio's response that are passed on.
const PASSED_ON: [header::HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::ACCEPT_RANGES,
    header::ETAG,
    header::LAST_MODIFIED,
];

/// A recording's SID, with or without `.wav` or `.mp3`.
pub(super) struct File {
    sid: RecordingSid,
    format: MediaFormat,
}

impl FromStr for File {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let (sid, format) = match text.strip_suffix(".mp3") {
            Some(sid) => (sid, MediaFormat::Mp3),
            None => (text.strip_suffix(".wav").unwrap_or(text), MediaFormat::Wav),
        };
        Ok(Self { sid: sid.parse()?, format })
    }
}

/// Streams the audio, or the requested range of it.
pub(super) async fn listen(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(File { sid, format }): Id<File>,
) -> Result<Response<Body>, ApiError> {
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok()).map(str::to_owned);
    let media =
        transcription::listen(&context, &sid, &MediaRequest { format, range, ..MediaRequest::default() }).await?;
    let mut response = Response::new(Body::from_stream(media.bytes));
    *response.status_mut() = StatusCode::from_u16(media.status).unwrap_or(StatusCode::OK);
    for name in PASSED_ON {
        if let Some(value) = media.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    Ok(response)
}

/// Returns the audio's full URL, at the host that the request came to.
pub(super) fn address(context: &Shared, headers: &HeaderMap, sid: &str) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_public = host == context.urls.authority() && !context.urls.is_plain_http();
    let scheme = if is_public { "https" } else { "http" };
    format!("{scheme}://{host}/recordings/{sid}.wav")
}
