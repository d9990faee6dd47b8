//! The audio of recordings on its way, and what about it can be told to be wrong before anybody is paid for reading it.
//! Source: <https://www.twilio.com/docs/voice/api/recording#fetch-a-recordings-media-file>.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RANGE, TRANSFER_ENCODING};
use reqwest::{Method, Response, StatusCode};
use tokio::time::Instant;
use tracing::Span;
use url::Url;

use super::Twilio;
use crate::clients::{Deadlines, Error, Kind, Sender, transport};

/// Storage to which Twilio may point is at most this many redirects away.
const REDIRECTS: usize = 3;

/// The file format that audio is asked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MediaFormat {
    /// 16 bit PCM at 8 kHz, as Twilio has it: the best there is.
    #[default]
    Wav,
    /// 32 kbit/s.
    Mp3,
}

/// Which audio is wanted.
#[derive(Debug, Clone, Default)]
pub struct MediaRequest {
    /// WAV or MP3.
    pub format: MediaFormat,
    /// `RequestedChannels`: 2 for the original of a stereo recording, 1 for a down-mix, none for as recorded.
    pub channels: Option<u32>,
    /// A `Range` header to pass on.
    pub range: Option<String>,
}

/// Audio on its way.
pub struct Media {
    /// 200, or 206 for a range.
    pub status: u16,
    /// The headers that came with it.
    pub headers: HeaderMap,
    /// How many bytes come, if it was said.
    pub length: Option<u64>,
    /// The bytes. A break, a stall or a shortfall ends it with an error.
    pub bytes: BoxStream<'static, Result<Bytes, Error>>,
}

impl Twilio {
    /// Begins to read a recording's audio, which is never whole in memory.
    ///
    /// # Errors
    /// [`Kind::NotFound`] while the recording is not finished, or once it is deleted.
    pub async fn media(&self, sid: &str, wanted: &MediaRequest) -> Result<Media, Error> {
        let file = match wanted.format {
            MediaFormat::Wav => format!("{sid}.wav"),
            MediaFormat::Mp3 => format!("{sid}.mp3"),
        };
        let mut url = self.url(&["Recordings", &file]);
        if let Some(channels) = wanted.channels {
            url.query_pairs_mut().append_pair("RequestedChannels", &channels.to_string());
        }
        let response = self.sender.repeat(|| self.follow(url.clone(), wanted.range.as_deref())).await?;
        let length = response.content_length();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Media { status, headers, length, bytes: guarded(response, self.sender.clone()) })
    }

    /// Asks for audio and goes where Twilio points, which may be another company's storage: there without our
    /// credentials, and never from HTTPS to plain HTTP.
    async fn follow(&self, mut url: Url, range: Option<&str>) -> Result<Response, Kind> {
        for _ in 0..=REDIRECTS {
            let at_home = url.origin() == self.base.origin();
            let mut request = match at_home {
                true => self.request(Method::GET, url.clone()),
                false => self.sender.http.get(url.clone()),
            };
            if let Some(range) = range {
                request = request.header(RANGE, range);
            }
            let response = self.sender.start(request).await?;
            let redirect = matches!(
                response.status(),
                StatusCode::MOVED_PERMANENTLY
                    | StatusCode::FOUND
                    | StatusCode::SEE_OTHER
                    | StatusCode::TEMPORARY_REDIRECT
                    | StatusCode::PERMANENT_REDIRECT
            );
            if !redirect {
                return match self.sender.accept(response).await {
                    // Storage elsewhere got no credentials of ours: its no says nothing of them.
                    Err(Kind::Unauthorized(refusal)) if !at_home => {
                        Err(Kind::Unavailable { retry_after: None, refusal })
                    }
                    Err(kind) => Err(kind),
                    Ok(response) => check_audio(response),
                };
            }
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            let safe =
                |next: &Url| next.scheme() == "https" || (next.scheme() == "http" && self.base.scheme() == "http");
            url = next.filter(safe).ok_or_else(|| Kind::BadBody { path: "Location of a redirect".to_owned() })?;
        }
        Err(Kind::BadBody { path: "Location of a redirect, which never ends".to_owned() })
    }
}

/// A success may be a page or an error's document, or nothing at all. Audio has many types, plain bytes among them.
fn check_audio(response: Response) -> Result<Response, Kind> {
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_document = media_type.starts_with("text/") || media_type.ends_with("json") || media_type.ends_with("xml");
    let is_there = response.status() != StatusCode::NO_CONTENT && response.content_length() != Some(0);
    match is_there && !is_document {
        true => Ok(response),
        false => Err(Kind::BadBody { path: "the audio, which is none".to_owned() }),
    }
}

/// The body in pieces, each within the stall deadline and all within that for audio, ended by an error if it breaks or
/// falls short. Where its end is that of the connection, which a break looks like, a WAV file's own length is the judge;
/// for what is no WAV file there is none.
fn guarded(response: Response, sender: Sender) -> BoxStream<'static, Result<Bytes, Error>> {
    let is_framed = response.content_length().is_some() || response.headers().contains_key(TRANSFER_ENCODING);
    // A part is for a player: it has no head to check, and is never transcribed.
    let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
    let tells_end = is_framed || is_part;
    let begun =
        Guarded { response, sender, tells_end, riff: Riff::default(), begun: Instant::now(), span: Span::current() };
    stream::try_unfold(begun, |mut audio| async move {
        match audio.next().await {
            Ok(None) => Ok(None),
            Ok(Some(bytes)) => Ok(Some((bytes, audio))),
            Err(kind) => Err(audio.span.in_scope(|| audio.sender.error(kind))),
        }
    })
    .boxed()
}

struct Guarded {
    response: Response,
    sender: Sender,
    /// Whether HTTP tells the end of the body from a broken connection, or that does not matter.
    tells_end: bool,
    riff: Riff,
    begun: Instant,
    /// The request that the log tells of, wherever the audio is read.
    span: Span,
}

impl Guarded {
    async fn next(&mut self) -> Result<Option<Bytes>, Kind> {
        let Deadlines { stall, audio, .. } = self.sender.deadlines;
        let left = audio.saturating_sub(self.begun.elapsed());
        let chunk = tokio::time::timeout(stall.min(left), self.response.chunk()).await;
        let chunk = chunk.map_err(|_| Kind::Timeout)?.map_err(transport)?;
        match &chunk {
            Some(bytes) => self.riff.see(bytes),
            None if self.riff.seen == 0 => {
                return Err(Kind::BadBody { path: "the audio, which is none".to_owned() });
            }
            None if !self.tells_end && !self.riff.is_whole() => {
                return Err(Kind::BadBody { path: "the audio, which is shorter than it says".to_owned() });
            }
            None => {}
        }
        Ok(chunk)
    }
}

/// What a WAV file says of its own length, and what came.
#[derive(Default)]
struct Riff {
    head: Vec<u8>,
    seen: u64,
}

impl Riff {
    /// `RIFF`, and the number of bytes after these eight.
    const HEAD: usize = 8;

    fn see(&mut self, bytes: &[u8]) {
        let missing = Self::HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..missing.min(bytes.len())]);
        self.seen += bytes.len() as u64;
    }

    fn is_whole(&self) -> bool {
        match self.head[..] {
            [b'R', b'I', b'F', b'F', a, b, c, d] => self.seen >= u64::from(u32::from_le_bytes([a, b, c, d])) + 8,
            _ => self.head.len() == Self::HEAD,
        }
    }
}
