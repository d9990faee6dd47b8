//! `/recordings/<sid>`: a recording's audio, without Twilio's credentials.

use std::str::FromStr;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::error::ApiError;
use super::extract::Id;
use super::response::{file_name, in_file_name};
use crate::clients::twilio::{AudioType, MediaFormat, MediaRequest};
use crate::context::Shared;
use crate::model::BadId;
use crate::model::recording::RecordingSid;
use crate::pipeline::transcription;

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

/// Streams the audio, or the requested range of it. All headers are ours: what a vendor says would run in our name.
pub(super) async fn listen(
    State(context): State<Shared>,
    headers: HeaderMap,
    Id(File { sid, format }): Id<File>,
) -> Result<Response<Body>, ApiError> {
    // No answer has an `ETag`, so `If-Range` never names what is served now: the client wants the whole audio.
    let range = headers.get(header::RANGE).filter(|_| !headers.contains_key(header::IF_RANGE));
    let range = range.and_then(|range| range.to_str().ok()).map(str::to_owned);
    let audio =
        transcription::listen(&context, &sid, &MediaRequest { format, range, ..MediaRequest::default() }).await?;
    let contact = context.store.read().await?.contact_of_recording(&sid).await?;
    let mut response = Response::new(Body::from_stream(audio.bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(audio.audio_type.media_type()));
    if let Some(length) = audio.length {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    if let Some(contact) = contact {
        let extension = if audio.audio_type == AudioType::Mp3 { "mp3" } else { "wav" };
        let name = format!("{} {sid}.{extension}", in_file_name(contact.as_str()));
        headers.insert(header::CONTENT_DISPOSITION, file_name(&name, false));
    }
    if audio.takes_ranges {
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    if let Some(part) = audio.part {
        let part = HeaderValue::try_from(part.to_string()).expect("digits are a header value");
        headers.insert(header::CONTENT_RANGE, part);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
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
