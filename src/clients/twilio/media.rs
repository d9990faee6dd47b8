//! Streams the audio of recordings and detects damaged audio before a transcript is paid for. Source:
//! <https://www.twilio.com/docs/voice/api/recording#fetch-a-recordings-media-file>.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, LOCATION, RANGE, TRANSFER_ENCODING};
use reqwest::{Method, Response, StatusCode};
use tokio::time::Instant;
use tracing::Span;
use url::Url;

use super::Twilio;
use super::encryption::{self, Decryption, Decryptor};
use super::redirect::{addresses, may_redirect};
use super::size::{self, AudioType};
use super::wav::Wav;
use crate::clients::assemblyai::limits::LARGEST_UPLOAD;
use crate::clients::range::Range;
use crate::clients::{Deadlines, Error, Kind, Sender, transport};

/// Maximum number of redirects followed from Twilio to the storage of the audio.
const REDIRECTS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MediaFormat {
    /// 16-bit PCM at 8 kHz, Twilio's original.
    #[default]
    Wav,
    /// 32 kbit/s.
    Mp3,
}

#[derive(Debug, Clone, Default)]
pub struct MediaRequest {
    pub format: MediaFormat,
    /// `RequestedChannels`: 2 for the original of a stereo recording, 1 for a downmix, `None` for as recorded.
    pub channels: Option<u32>,
    /// `Range` header to pass on. Partial audio is for players, is never transcribed, and is not checked.
    pub range: Option<String>,
    /// Decrypts the audio, which Twilio has only whole and as WAV then, as it was recorded.
    pub decryption: Option<Decryption>,
    /// The URL of the audio if it is not at its usual path: [`Location::OwnUrl`](super::Location::OwnUrl).
    pub own_url: Option<Url>,
    /// The recording's duration by Twilio's API, which bounds the size of its audio. A WAV file must not be shorter.
    pub seconds: Option<u64>,
}

/// Audio as it streams in.
pub struct Media {
    /// 200, or 206 for a range.
    pub status: u16,
    pub headers: HeaderMap,
    /// `Content-Length`.
    pub length: Option<u64>,
    /// Ends with an error, before the last byte, if the connection breaks or stalls or the audio is damaged.
    pub bytes: BoxStream<'static, Result<Bytes, Error>>,
}

impl Twilio {
    /// Opens a recording's audio, which is never whole in memory. [`Kind::NotFound`] until the recording is finished and
    /// after it is deleted.
    pub async fn media(&self, sid: &str, request: &MediaRequest) -> Result<Media, Error> {
        let decryption = request.decryption.as_ref();
        let file = match request.format {
            MediaFormat::Mp3 if decryption.is_none() => format!("{sid}.mp3"),
            MediaFormat::Wav | MediaFormat::Mp3 => format!("{sid}.wav"),
        };
        let url = request.own_url.clone().unwrap_or_else(|| {
            let mut url = self.url(&["Recordings", &file]);
            if let Some(channels) = request.channels.filter(|_| decryption.is_none()) {
                url.query_pairs_mut().append_pair("RequestedChannels", &channels.to_string());
            }
            url
        });
        let range = request.range.as_deref().filter(|_| decryption.is_none());
        let response =
            self.sender.repeat(|| self.sender.counted("fetch_media", self.follow(url.clone(), range))).await?;
        let tag = if decryption.is_some() { encryption::TAG as u64 } else { 0 };
        let length = response.content_length().map(|length| length.saturating_sub(tag));
        if length == Some(0) {
            return Err(self.sender.error(damaged("is encrypted and cut off")));
        }
        if length.is_some_and(|length| length > LARGEST_UPLOAD) {
            return Err(self.sender.error(damaged(size::TOO_LONG)));
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let decryptor = decryption.map(Decryptor::new);
        Ok(Media {
            status,
            headers,
            length,
            bytes: checked(response, length, decryptor, self.sender.clone(), request.seconds),
        })
    }

    /// Requests audio and follows redirects, which may lead to another company's storage: there without our credentials,
    /// never from HTTPS to plain HTTP, and never to an address inside our own network.
    async fn follow(&self, mut url: Url, range: Option<&str>) -> Result<Response, Kind> {
        let elsewhere = || Kind::BadBody { path: "Location of a redirect".to_owned() };
        let mut http = self.sender.http.clone();
        for _ in 0..=REDIRECTS {
            let is_twilio = url.origin() == self.base.origin();
            let mut request = if is_twilio { self.request(Method::GET, url.clone()) } else { http.get(url.clone()) };
            if let Some(range) = range {
                request = request.header(RANGE, range);
            }
            let response = self.sender.start(request).await?;
            if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
                let told = response.headers().get(CONTENT_RANGE).and_then(|told| told.to_str().ok());
                let range = range.and_then(Range::parse);
                return Err(Kind::BeyondEnd {
                    total: range.zip(told).and_then(|(range, told)| range.total_beyond(told)),
                });
            }
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
                    // Storage elsewhere received no credentials, so its 401 says nothing about ours.
                    Err(Kind::Unauthorized(refusal)) if !is_twilio => {
                        Err(Kind::Unavailable { retry_after: None, refusal })
                    }
                    Err(kind) => Err(kind),
                    Ok(response) => check_audio(response, range.is_some()),
                };
            }
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            url = next.filter(|next| may_redirect(&self.base, next)).ok_or_else(elsewhere)?;
            let found = tokio::time::timeout(self.sender.deadlines.answer, addresses(&self.base, &url)).await;
            if let Some(found) = found.map_err(|_| Kind::Timeout)?.map_err(|()| elsewhere())? {
                // A second look-up could find another address.
                http = self.sender.client_at(url.host_str().unwrap_or_default(), &found);
            }
        }
        Err(Kind::BadBody { path: "Location of a redirect, which leads to more redirects".to_owned() })
    }
}

/// Rejects a successful response that is a document, empty, or partial without a `Range` in the request. Audio has many
/// media types, plain bytes among them, so there is no list of allowed ones.
fn check_audio(response: Response, may_be_part: bool) -> Result<Response, Kind> {
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_document = media_type.starts_with("text/") || media_type.ends_with("json") || media_type.ends_with("xml");
    let is_there = response.status() != StatusCode::NO_CONTENT && response.content_length() != Some(0);
    if is_document || !is_there {
        return Err(damaged("is not an audio file"));
    }
    if response.status() == StatusCode::PARTIAL_CONTENT && !may_be_part {
        return Err(damaged("is incomplete"));
    }
    Ok(response)
}

pub(super) fn damaged(why: &str) -> Kind {
    Kind::BadBody { path: format!("the audio, which {why}") }
}

/// Streams the body: each chunk within the `stall` deadline, all within `audio`. Ends with an error if the connection breaks
/// or the audio is damaged.
fn checked(
    response: Response,
    length: Option<u64>,
    decryptor: Option<Decryptor>,
    sender: Sender,
    seconds: Option<u64>,
) -> BoxStream<'static, Result<Bytes, Error>> {
    let codings = response.headers().get_all(TRANSFER_ENCODING).iter().next_back();
    let is_chunked = codings.is_some_and(|codings| codings.as_bytes().to_ascii_lowercase().ends_with(b"chunked"));
    // The tag of an encryption shows the end as well.
    let has_clear_end = length.is_some() || is_chunked || decryptor.is_some();
    let inspector = match response.status() {
        StatusCode::PARTIAL_CONTENT => None,
        _ => Some(Inspector { seconds, has_clear_end, head: Vec::new(), is_blank: true, wav: Wav::default() }),
    };
    let audio = CheckedAudio {
        response,
        sender,
        length,
        decryptor,
        has_ended: false,
        received: 0,
        inspector,
        started: Instant::now(),
        span: Span::current(),
    };
    stream::try_unfold(audio, |mut audio| async move {
        match audio.next().await {
            Ok(None) => Ok(None),
            Ok(Some(bytes)) => Ok(Some((bytes, audio))),
            Err(kind) => Err(audio.span.in_scope(|| audio.sender.error(kind))),
        }
    })
    .boxed()
}

struct CheckedAudio {
    response: Response,
    sender: Sender,
    /// `Content-Length`, without the tag of an encryption.
    length: Option<u64>,
    /// Until the tag is verified.
    decryptor: Option<Decryptor>,
    has_ended: bool,
    received: u64,
    /// `None` for partial audio.
    inspector: Option<Inspector>,
    started: Instant,
    /// Span of the request, so that the log names it wherever the stream is read.
    span: Span,
}

impl CheckedAudio {
    async fn next(&mut self) -> Result<Option<Bytes>, Kind> {
        let Deadlines { stall, audio, .. } = self.sender.deadlines;
        let left = audio.saturating_sub(self.started.elapsed());
        let chunk = loop {
            let chunk = if self.has_ended {
                None
            } else {
                let chunk = tokio::time::timeout(stall.min(left), self.response.chunk()).await;
                chunk.map_err(|_| Kind::Timeout)?.map_err(transport)?
            };
            self.has_ended = chunk.is_none();
            let Some(decryptor) = &mut self.decryptor else { break chunk };
            let decrypted = match chunk {
                Some(encrypted) => decryptor.take(&encrypted),
                None => decryptor.end().map_err(damaged)?,
            };
            if self.has_ended {
                self.decryptor = None;
            }
            if !decrypted.is_empty() {
                break Some(Bytes::from(decrypted));
            }
        };
        let piece = chunk.as_deref().unwrap_or_default();
        self.received += piece.len() as u64;
        if chunk.is_none() && self.received == 0 {
            return Err(damaged("is not an audio file"));
        }
        if self.received > LARGEST_UPLOAD {
            return Err(damaged(size::TOO_LONG));
        }
        if let Some(inspector) = &mut self.inspector {
            // A reader that knows the length stops at its last byte, so the check must be complete by then.
            let total = self.length.or(chunk.is_none().then_some(self.received));
            inspector.inspect(piece, total, self.received).map_err(damaged)?;
        }
        Ok(chunk)
    }
}

/// Checks complete audio as it streams through.
struct Inspector {
    seconds: Option<u64>,
    /// HTTP distinguishes the end of the body from a broken connection.
    has_clear_end: bool,
    /// The first bytes.
    head: Vec<u8>,
    /// Only white space was received.
    is_blank: bool,
    wav: Wav,
}

impl Inspector {
    /// Checks the next bytes. `total` is the length of the audio, if it is known by now; `received` is how much of it is
    /// there with them.
    fn inspect(&mut self, piece: &[u8], total: Option<u64>, received: u64) -> Result<(), &'static str> {
        let is_over = total == Some(received);
        if self.is_blank
            && let Some(first) = piece.iter().find(|byte| !byte.is_ascii_whitespace())
        {
            self.is_blank = false;
            // No audio starts like a page or JSON, whatever its media type.
            if b"<{".contains(first) {
                return Err("is a document");
            }
        }
        if is_over && self.is_blank {
            return Err("is not an audio file");
        }
        self.wav.read(piece);
        // Without a length, a broken connection looks like the end. Only a WAV file could tell them apart.
        if !self.has_clear_end && self.wav.lacks_length() {
            return Err("does not say where it ends");
        }
        self.wav.check(total, self.seconds)?;
        self.head.extend_from_slice(&piece[..piece.len().min(size::HEAD.saturating_sub(self.head.len()))]);
        let audio_type = AudioType::of(&self.head).filter(|_| self.head.len() == size::HEAD);
        // HTTP and the header of a file that agree about its length bound it, too, and it may be longer than its recording.
        let is_agreed = |total| self.wav.length().is_some_and(|length| (length..=length + 1).contains(&total));
        if total.unwrap_or(received) > size::largest(audio_type, self.wav.rate(), self.seconds)
            && !total.is_some_and(is_agreed)
        {
            return Err(size::TOO_LONG);
        }
        Ok(())
    }
}
