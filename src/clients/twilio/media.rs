//! The audio of recordings on its way, and what about it can be told to be wrong before anybody is paid for reading it.
//! Source: <https://www.twilio.com/docs/voice/api/recording#fetch-a-recordings-media-file>.

use std::net::Ipv4Addr;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RANGE, TRANSFER_ENCODING};
use reqwest::{Method, Response, StatusCode};
use tokio::time::Instant;
use tracing::Span;
use url::{Host, Url};

use super::Twilio;
use super::wav::Wav;
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
    /// A `Range` header to pass on. A part is not judged: it is for a player, and never transcribed.
    pub range: Option<String>,
    /// What Twilio says of the recording's duration, for a WAV file to be held against.
    pub seconds: Option<u64>,
}

/// Audio on its way.
pub struct Media {
    /// 200, or 206 for a range.
    pub status: u16,
    /// The headers that came with it.
    pub headers: HeaderMap,
    /// How many bytes come, if it was said.
    pub length: Option<u64>,
    /// The bytes. A break, a stall or what is wrong with them ends it with an error, before the last of them.
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
        Ok(Media { status, headers, length, bytes: guarded(response, self.sender.clone(), wanted.seconds) })
    }

    /// Asks for audio and goes where Twilio points, which may be another company's storage: there without our
    /// credentials, never from HTTPS to plain HTTP, and never to an address inside our own network.
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
                    Ok(response) => check_audio(response, range.is_some()),
                };
            }
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            url = next
                .filter(|next| may_lead(&self.base, next))
                .ok_or_else(|| Kind::BadBody { path: "Location of a redirect".to_owned() })?;
        }
        Err(Kind::BadBody { path: "Location of a redirect, which never ends".to_owned() })
    }
}

/// Whether a vendor at `base` may send us there. Only one that is inside our network itself may point into it.
fn may_lead(base: &Url, next: &Url) -> bool {
    let is_as_safe = next.scheme() == "https" || (next.scheme() == "http" && base.scheme() == "http");
    is_as_safe && (!is_inside(next) || is_inside(base))
}

/// Whether an address is written as one that only this computer or its network has, such as that of a cloud's metadata.
fn is_inside(url: &Url) -> bool {
    let is_inside_v4 = |ip: Ipv4Addr| ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified();
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(ip)) => is_inside_v4(ip),
        Some(Host::Ipv6(ip)) => match ip.to_ipv4_mapped() {
            Some(ip) => is_inside_v4(ip),
            None => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
        },
        None => false,
    }
}

/// A success may be a page or an error's document, nothing at all, or a part that nobody asked for. Audio has many
/// types, plain bytes among them.
fn check_audio(response: Response, may_be_part: bool) -> Result<Response, Kind> {
    let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_document = media_type.starts_with("text/") || media_type.ends_with("json") || media_type.ends_with("xml");
    let is_there = response.status() != StatusCode::NO_CONTENT && response.content_length() != Some(0);
    if is_document || !is_there {
        return Err(unfit("is none"));
    }
    if response.status() == StatusCode::PARTIAL_CONTENT && !may_be_part {
        return Err(unfit("is not whole"));
    }
    Ok(response)
}

fn unfit(why: &str) -> Kind {
    Kind::BadBody { path: format!("the audio, which {why}") }
}

/// The body in pieces, each within the stall deadline and all within that for audio, ended by an error if it breaks or
/// is found out not to be the audio that it should be.
fn guarded(response: Response, sender: Sender, seconds: Option<u64>) -> BoxStream<'static, Result<Bytes, Error>> {
    let codings = response.headers().get_all(TRANSFER_ENCODING).iter().next_back();
    let is_chunked = codings.is_some_and(|codings| codings.as_bytes().to_ascii_lowercase().ends_with(b"chunked"));
    let length = response.content_length();
    let tells_end = length.is_some() || is_chunked;
    let witness = match response.status() {
        StatusCode::PARTIAL_CONTENT => None,
        _ => Some(Witness { seconds, tells_end, is_blank: true, wav: Wav::default() }),
    };
    let begun = Guarded { response, sender, length, came: 0, witness, begun: Instant::now(), span: Span::current() };
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
    /// How many bytes HTTP promises.
    length: Option<u64>,
    came: u64,
    /// For all but parts.
    witness: Option<Witness>,
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
        let piece = chunk.as_deref().unwrap_or_default();
        self.came += piece.len() as u64;
        if chunk.is_none() && self.came == 0 {
            return Err(unfit("is none"));
        }
        if let Some(witness) = &mut self.witness {
            // Whoever was promised a length stops reading with the last byte of it: by then all must be said.
            let total = self.length.or(chunk.is_none().then_some(self.came));
            witness.look(piece, total, total == Some(self.came)).map_err(unfit)?;
        }
        Ok(chunk)
    }
}

/// Looks at whole audio as it passes, for what tells that it is not what it should be.
struct Witness {
    seconds: Option<u64>,
    /// Whether HTTP tells the end of the body from a broken connection.
    tells_end: bool,
    /// Whether nothing but white space came.
    is_blank: bool,
    wav: Wav,
}

impl Witness {
    /// Takes the next bytes; `total` is how many there will have been, if that is known.
    fn look(&mut self, piece: &[u8], total: Option<u64>, is_over: bool) -> Result<(), &'static str> {
        if self.is_blank
            && let Some(first) = piece.iter().find(|byte| !byte.is_ascii_whitespace())
        {
            self.is_blank = false;
            // No audio begins like a page or like JSON, whatever its type says.
            if b"<{".contains(first) {
                return Err("is a document");
            }
        }
        if is_over && self.is_blank {
            return Err("is none");
        }
        self.wav.see(piece);
        // A break looks like the end of the connection. What is no WAV file has no length that could tell them apart.
        if !self.tells_end && self.wav.hides_its_length() {
            return Err("does not say where it ends");
        }
        self.wav.check(total, self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_neither_into_our_network_nor_to_plain_http() {
        let leads = |base: &str, next: &str| may_lead(&base.parse().unwrap(), &next.parse().unwrap());
        let (twilio, sandbox) = ("https://api.twilio.com", "http://127.0.0.1:8001");
        for next in
            ["https://api.ie1.twilio.com/a.wav", "https://bucket.s3.amazonaws.com/a?b=c", "https://203.0.113.7/"]
        {
            assert!(leads(twilio, next) && leads(sandbox, next), "{next}");
        }
        for next in [
            "https://169.254.169.254/latest/meta-data/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0.0.0.0/",
            "https://10.0.0.1/",
            "https://172.16.0.1/",
            "https://192.168.1.1/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[fd00:ec2::254]/",
            "https://[fe80::1]/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
        ] {
            assert!(!leads(twilio, next), "{next}");
            assert!(leads(sandbox, next), "{next}");
        }
        for next in ["http://api.twilio.com/a.wav", "ftp://api.twilio.com/", "file:///etc/passwd", "data:,a"] {
            assert!(!leads(twilio, next), "{next}");
        }
        assert!(!leads(sandbox, "file:///etc/passwd"));
    }
}
