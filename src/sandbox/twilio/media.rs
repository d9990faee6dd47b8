//! The audio of recordings, served as Twilio serves it: `audio/x-wav` or `audio/mpeg`, whole or a range of it.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::stream;

use super::account::Recording;
use super::audio::{Audio, Content, Format, noise};
use super::form::{self, Param};
use super::rest_exception::{RestException, bad_request};

/// The request in a `Range` header.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    Whole,
    /// First and last byte, both included.
    Part(u64, u64),
    Unsatisfiable,
}

/// Responds with the audio of a completed recording.
pub(super) fn serve(
    recording: &Recording,
    format: Format,
    query: &[Param],
    headers: &HeaderMap,
) -> Result<Response, RestException> {
    let channels = match form::value(query, "RequestedChannels") {
        None => recording.channels,
        Some("1") => 1,
        Some("2") if recording.channels == 2 => 2,
        Some(_) => return Err(bad_request(20001, "The recording does not have the requested channels")),
    };
    if recording.encryption.is_some() && format == Format::Mp3 {
        return Err(bad_request(16109, "Encrypted recordings are not available as MP3"));
    }
    if matches!(recording.audio, Audio::Scene { .. }) && format == Format::Mp3 {
        return Err(bad_request(
            20001,
            "The sandbox does not make MP3 files of what is said at a number of its phone book",
        ));
    }
    let content = recording.audio.content(&recording.sid, format, channels);
    let content = match &recording.encryption {
        Some(encryption) => encryption.encrypted(content),
        None => content,
    };
    let length = match &content {
        Content::Whole(bytes) => bytes.len() as u64,
        Content::Generated(length) => *length,
    };
    let requested = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let (status, first, end) = match range(requested, length) {
        Range::Whole => (StatusCode::OK, 0, length),
        Range::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last + 1),
        Range::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
    };
    let body = match content {
        Content::Whole(bytes) => {
            let index = |at: u64| usize::try_from(at).unwrap_or(bytes.len()).min(bytes.len());
            Body::from(bytes.slice(index(first)..index(end)))
        }
        Content::Generated(_) => Body::from_stream(stream::iter(noise(first, end).map(Ok::<_, axum::Error>))),
    };

    let mut response = Response::new(body);
    *response.status_mut() = status;
    let content_type = match format {
        Format::Wav => "audio/x-wav",
        Format::Mp3 => "audio/mpeg",
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(end - first));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let content_range = match status {
        StatusCode::PARTIAL_CONTENT => format!("bytes {first}-{}/{length}", end - 1),
        StatusCode::RANGE_NOT_SATISFIABLE => format!("bytes */{length}"),
        _ => return Ok(response),
    };
    headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(content_range).expect("digits are a header value"));
    Ok(response)
}

/// Parses a `Range` header. Anything but one range of bytes is ignored, as RFC 9110 allows.
fn range(header: Option<&str>, length: u64) -> Range {
    let spec = header.and_then(|header| header.strip_prefix("bytes=")?.trim().split_once('-'));
    let Some((first, last)) = spec else { return Range::Whole };
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first > last => Range::Whole,
        (Ok(first), _) if first >= length => Range::Unsatisfiable,
        (Ok(first), Ok(last)) => Range::Part(first, last.min(length - 1)),
        (Ok(first), Err(_)) if last.is_empty() => Range::Part(first, length - 1),
        (Err(_), Ok(0)) if first.is_empty() => Range::Unsatisfiable,
        (Err(_), Ok(_)) if first.is_empty() && length == 0 => Range::Unsatisfiable,
        (Err(_), Ok(suffix)) if first.is_empty() => Range::Part(length.saturating_sub(suffix), length - 1),
        _ => Range::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_length_of_the_audio() {
        assert_eq!(range(None, 100), Range::Whole);
        assert_eq!(range(Some("bytes=0-"), 100), Range::Part(0, 99));
        assert_eq!(range(Some("bytes=10-19"), 100), Range::Part(10, 19));
        assert_eq!(range(Some("bytes=90-1000"), 100), Range::Part(90, 99));
        assert_eq!(range(Some("bytes=-10"), 100), Range::Part(90, 99));
        assert_eq!(range(Some("bytes=-1000"), 100), Range::Part(0, 99));
    }

    #[test]
    fn ranges_after_the_end_cannot_be_satisfied() {
        for header in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(range(Some(header), 100), Range::Unsatisfiable, "{header}");
        }
        assert_eq!(range(Some("bytes=-5"), 0), Range::Unsatisfiable);
    }

    #[test]
    fn anything_but_one_range_of_bytes_is_ignored() {
        for header in ["bytes=0-1,3-4", "lines=0-1", "bytes=9-1", "bytes=-", "bytes=a-b", "bytes"] {
            assert_eq!(range(Some(header), 100), Range::Whole, "{header}");
        }
    }
}
