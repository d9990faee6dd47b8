//! A cheap client: prebuilt requests, kept connections, and response times.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use callscribe::internals::signature::{self, Algorithm, Param};
use callscribe::sandbox::twilio;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::form_urlencoded;

/// The server's public address, which signatures cover. Nothing connects to it.
pub(crate) const PUBLIC: &str = "https://callscribe.invalid";

pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::of(stream))
    }

    pub(crate) fn of(stream: TcpStream) -> Self {
        Self { stream, read: Vec::new() }
    }

    /// Sends a request and reads its response, which must have a `Content-Length` or no body.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        self.read.clear();
        let head = loop {
            match find(&self.read, b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.read_some().await?,
            }
        };
        let text = String::from_utf8_lossy(&self.read[..head]).to_ascii_lowercase();
        let status = text.get(9..12).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        while self.read.len() < head + length {
            self.read_some().await?;
        }
        Ok(Answer { status, body: String::from_utf8_lossy(&self.read[head..]).into_owned() })
    }

    /// The bytes of the last response, including its head.
    pub(crate) fn last(&self) -> &[u8] {
        &self.read
    }

    async fn read_some(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// A GET request.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

/// A GET request of a browser for a page.
pub(crate) fn get_page(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/html\r\naccept-encoding: gzip\r\n\r\n").into_bytes()
}

/// A POST request with JSON.
pub(crate) fn post_json(path: &str, json: &Value) -> Vec<u8> {
    let json = json.to_string();
    let length = json.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{json}"
    )
    .into_bytes()
}

/// A form body.
pub(crate) fn form(params: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

/// Twilio's signature of a form posted to this path.
pub(crate) fn sign(path: &str, params: &[(&str, &str)]) -> String {
    let params: Vec<Param> = params.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    signature::sign(Algorithm::HmacSha1, twilio::AUTH_TOKEN, &format!("{PUBLIC}{path}"), &params)
}

/// A POST request with a form signed by Twilio.
pub(crate) fn post(path: &str, params: &[(&str, &str)]) -> Vec<u8> {
    let (form, signature) = (form(params), sign(path, params));
    let length = form.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: callscribe.invalid\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         x-twilio-signature: {signature}\r\ncontent-length: {length}\r\n\r\n{form}"
    )
    .into_bytes()
}

/// Twilio's callback for a completed recording, with call and recording SIDs made of the number. Returns the recording SID
/// and the request.
pub(crate) fn numbered_recording_callback(number: u64) -> (String, Vec<u8>) {
    let (call, recording) = (format!("CA{number:032x}"), format!("RE{number:032x}"));
    let request = recording_callback(&call, &recording);
    (recording, request)
}

/// Twilio's callback for a completed recording.
pub(crate) fn recording_callback(call: &str, recording: &str) -> Vec<u8> {
    let url = format!("https://api.twilio.com/2010-04-01/Accounts/{}/Recordings/{recording}", twilio::ACCOUNT_SID);
    let params = [
        ("AccountSid", twilio::ACCOUNT_SID),
        ("CallSid", call),
        ("RecordingChannels", "1"),
        ("RecordingDuration", "12"),
        ("RecordingSid", recording),
        ("RecordingSource", "RecordVerb"),
        ("RecordingStartTime", "Mon, 23 Nov 2026 02:00:00 +0000"),
        ("RecordingStatus", "completed"),
        ("RecordingTrack", "both"),
        ("RecordingUrl", &url),
    ];
    post("/hooks/twilio/recording", &params)
}

/// The parameters of Twilio's voice webhook.
pub(crate) const VOICE: [(&str, &str); 7] = [
    ("AccountSid", twilio::ACCOUNT_SID),
    ("ApiVersion", "2010-04-01"),
    ("CallSid", "CA0123456789abcdef0123456789abcdef"),
    ("CallStatus", "in-progress"),
    ("Direction", "outbound-api"),
    ("From", "+15005550006"),
    ("To", "+14155551234"),
];

/// Response times.
#[derive(Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn since(&mut self, begun: Instant) {
        self.push(begun.elapsed());
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The percentile for this share, in milliseconds.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let mut times = self.0.clone();
        times.sort_unstable();
        let index = (times.len() as f64 * share) as usize;
        times.get(index.min(times.len().saturating_sub(1))).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}
