//! The audio of recordings, served as Twilio serves it: `audio/x-wav` or `audio/mpeg`, whole or a range of it.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::stream;
use sha2::{Digest, Sha256};

use super::refusal::Refusal;
use super::state::Recording;
use crate::clients::twilio::signature::Param;
use crate::sandbox::{speech, splitmix};

/// Bytes of generated audio that exist at a time.
const CHUNK: u64 = 1 << 16;

/// What a recording sounds like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audio {
    /// The sandbox's speech, as WAV or MP3, with one or two channels.
    Speech,
    /// The same, and WAV files carry the recording's SID as a comment. MP3 files do not.
    Marked {
        /// How long a WAV file is at least; silence that nobody hears fills it up. 0 if it may be as long as it is.
        bytes: u64,
    },
    /// These bytes, whatever is asked for.
    Bytes(Bytes),
    /// Noise that is made while it is sent, always the same for the same length.
    Generated {
        /// How much of it.
        bytes: u64,
    },
}

/// What is sent for it.
enum Content {
    Whole(Bytes),
    Generated(u64),
}

/// The file formats, by the extension of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Wav,
    Mp3,
}

/// What a `Range` header asks for. Both ends are included.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    Whole,
    Part(u64, u64),
    Unsatisfiable,
}

impl Audio {
    /// SHA-256 of the bytes that `.wav` answers with for one channel, in lower-case hex.
    ///
    /// # Panics
    /// For [`Audio::Marked`], of which each recording has its own; see
    /// [`Twilio::recording_sha256`](super::Twilio::recording_sha256).
    pub fn sha256(&self) -> String {
        assert!(!matches!(self, Self::Marked { .. }), "each marked recording has a checksum of its own");
        self.sha256_of("", 1)
    }

    /// The same of a recording with this SID and so many channels.
    pub(super) fn sha256_of(&self, sid: &str, channels: u8) -> String {
        let mut hash = Sha256::new();
        match self.content(sid, Format::Wav, channels) {
            Content::Whole(bytes) => hash.update(&bytes),
            Content::Generated(length) => noise(0, length).for_each(|chunk| hash.update(&chunk)),
        }
        speech::hex(&hash.finalize())
    }

    fn content(&self, sid: &str, format: Format, channels: u8) -> Content {
        match (self, format, channels) {
            (Self::Generated { bytes }, ..) => Content::Generated(*bytes),
            (Self::Bytes(bytes), ..) => Content::Whole(bytes.clone()),
            (Self::Speech | Self::Marked { .. }, Format::Mp3, _) => Content::Whole(Bytes::from_static(speech::MP3)),
            (Self::Marked { bytes }, Format::Wav, _) => Content::Whole(speech::marked(sid, channels, *bytes)),
            (Self::Speech, Format::Wav, 2) => Content::Whole(speech::stereo()),
            (Self::Speech, Format::Wav, _) => Content::Whole(Bytes::from_static(speech::WAV)),
        }
    }
}

/// Answers a request for the audio of a completed recording.
pub(super) fn serve(
    recording: &Recording,
    format: Format,
    query: &[Param],
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let channels = match query.iter().find(|(name, _)| name == "RequestedChannels").map(|(_, value)| value.as_str()) {
        None => recording.channels,
        Some("1") => 1,
        Some("2") if recording.channels == 2 => 2,
        Some(_) => return Err(Refusal::bad_request(20001, "The recording does not have the requested channels")),
    };
    let content = recording.audio.content(&recording.sid, format, channels);
    let length = match &content {
        Content::Whole(bytes) => bytes.len() as u64,
        Content::Generated(length) => *length,
    };
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let (status, first, end) = match range(asked, length) {
        Range::Whole => (StatusCode::OK, 0, length),
        Range::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last + 1),
        Range::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
    };
    let body = match content {
        Content::Whole(bytes) => {
            let place = |at: u64| usize::try_from(at).unwrap_or(bytes.len()).min(bytes.len());
            Body::from(bytes.slice(place(first)..place(end)))
        }
        Content::Generated(_) => Body::from_stream(stream::iter(noise(first, end).map(Ok::<_, axum::Error>))),
    };

    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = match format {
        Format::Wav => "audio/x-wav",
        Format::Mp3 => "audio/mpeg",
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(end - first));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let place = match status {
        StatusCode::PARTIAL_CONTENT => format!("bytes {first}-{}/{length}", end - 1),
        StatusCode::RANGE_NOT_SATISFIABLE => format!("bytes */{length}"),
        _ => return Ok(response),
    };
    headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(place).expect("digits are a header value"));
    Ok(response)
}

/// Reads a `Range` header. What is not one single range of bytes is ignored, as RFC 9110 allows.
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

/// The noise from `first` up to, and without, `end`. Each eight bytes follow from their place alone.
fn noise(first: u64, end: u64) -> impl Iterator<Item = Bytes> + Send {
    let starts = std::iter::successors(Some(first), |at| Some((at / CHUNK + 1) * CHUNK));
    starts.take_while(move |at| *at < end).map(move |at| {
        let stop = end.min((at / CHUNK + 1) * CHUNK);
        let words = (at / 8)..stop.div_ceil(8);
        let bytes: Vec<u8> = words.flat_map(|word| splitmix::nth(word).to_le_bytes()).collect();
        let skip = at % 8;
        // Both are less than a chunk.
        Bytes::from(bytes).slice(skip as usize..(skip + stop - at) as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_what_is_there() {
        assert_eq!(range(None, 100), Range::Whole);
        assert_eq!(range(Some("bytes=0-"), 100), Range::Part(0, 99));
        assert_eq!(range(Some("bytes=10-19"), 100), Range::Part(10, 19));
        assert_eq!(range(Some("bytes=90-1000"), 100), Range::Part(90, 99));
        assert_eq!(range(Some("bytes=-10"), 100), Range::Part(90, 99));
        assert_eq!(range(Some("bytes=-1000"), 100), Range::Part(0, 99));
    }

    #[test]
    fn ranges_behind_the_end_cannot_be_satisfied() {
        for header in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(range(Some(header), 100), Range::Unsatisfiable, "{header}");
        }
        assert_eq!(range(Some("bytes=-5"), 0), Range::Unsatisfiable);
    }

    #[test]
    fn what_is_not_one_range_of_bytes_is_ignored() {
        for header in ["bytes=0-1,3-4", "lines=0-1", "bytes=9-1", "bytes=-", "bytes=a-b", "bytes"] {
            assert_eq!(range(Some(header), 100), Range::Whole, "{header}");
        }
    }

    #[test]
    fn generated_audio_is_the_same_in_whole_and_in_parts() {
        let length = 2 * CHUNK + 77;
        let gather = |first, end| noise(first, end).flatten().collect::<Vec<u8>>();
        let whole = gather(0, length);
        assert_eq!(whole.len() as u64, length);
        for (first, end) in [(0, 1), (3, 5), (7, 70_000), (CHUNK - 1, CHUNK + 1), (length - 1, length), (9, 9)] {
            assert_eq!(gather(first, end), whole[first as usize..end as usize], "{first}..{end}");
        }
        assert_eq!(Audio::Generated { bytes: length }.sha256(), Audio::Bytes(whole.into()).sha256());
    }
}
