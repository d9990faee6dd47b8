//! Recording resources; `media` has their audio. Source: <https://www.twilio.com/docs/voice/api/recording>.

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use url::Url;

use super::encryption::{self, Decryption, Encryption, NotDecryptable};
use super::pages::{LARGEST_PAGE, Page, days};
use super::{Twilio, date, lenient};
use crate::clients::Error;
use crate::clients::bounded::at_most;

/// Maximum length of the URL of audio in external storage, because it is stored and shown. Signed ones have some 1,500.
const LONGEST_URL: usize = 8_000;

/// The fields of a recording that are used here.
#[derive(Debug, Clone, Deserialize)]
pub struct Recording {
    pub sid: String,
    #[serde(default)]
    pub call_sid: Option<String>,
    /// Set for one of a conference.
    #[serde(default, deserialize_with = "lenient::text")]
    pub conference_sid: Option<String>,
    /// `in-progress`, `paused`, `stopped`, `processing`, `completed`, `absent` or `deleted`.
    pub status: String,
    /// Seconds; `-1` while unknown.
    #[serde(default, deserialize_with = "lenient::number")]
    pub duration: Option<i64>,
    /// 1 or 2.
    #[serde(default, deserialize_with = "lenient::number")]
    pub channels: Option<u32>,
    /// Such as `RecordVerb`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub source: Option<String>,
    /// Why the recording is absent.
    #[serde(default, deserialize_with = "lenient::number")]
    pub error_code: Option<i64>,
    /// RFC 2822.
    #[serde(default, deserialize_with = "lenient::text")]
    pub date_created: Option<String>,
    /// What it costs to record it, as that of a call.
    #[serde(default, deserialize_with = "lenient::text")]
    pub price: Option<String>,
    /// ISO 4217.
    #[serde(default, deserialize_with = "lenient::text")]
    pub price_unit: Option<String>,
    /// How it is encrypted, if it is.
    #[serde(default, deserialize_with = "encryption::details")]
    pub encryption_details: Option<Result<Encryption, NotDecryptable>>,
    /// Full URL of the audio. Not at Twilio if the account uses external storage.
    #[serde(default, deserialize_with = "lenient::text")]
    pub media_url: Option<String>,
}

impl Recording {
    /// Returns the duration in seconds once it is known.
    pub fn seconds(&self) -> Option<u64> {
        self.duration?.try_into().ok()
    }

    /// To the second.
    pub fn created(&self) -> Option<Timestamp> {
        date(self.date_created.as_deref())
    }

    pub fn is_complete(&self) -> bool {
        self.status == "completed"
    }

    /// Returns `true` while the audio may still become available.
    pub fn is_coming(&self) -> bool {
        matches!(self.status.as_str(), "in-progress" | "paused" | "stopped" | "processing")
    }
}

/// Where the audio of a recording is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// At its usual path at the API.
    Usual,
    /// At another path or version of the API's own host, which needs the credentials, too.
    OwnUrl(Url),
    /// In external storage of the account, which gets no credentials.
    External(String),
}

#[derive(Debug, Deserialize)]
struct Recordings {
    #[serde(deserialize_with = "at_most::<LARGEST_PAGE, _, _>")]
    recordings: Vec<Recording>,
    #[serde(default, deserialize_with = "lenient::text")]
    next_page_uri: Option<String>,
}

impl Page for Recordings {
    type Entry = Recording;

    const OPERATION: &'static str = "list_recordings";

    fn open(self) -> (Vec<Recording>, Option<String>) {
        (self.recordings, self.next_page_uri)
    }
}

/// How the paths of recordings begin, in the URLs of both versions of Twilio's API that have recordings.
const TWILIOS_PATHS: [&str; 2] = ["/2010-04-01/Accounts/", "/2008-08-01/Accounts/"];

impl Twilio {
    /// Returns all recordings of a call, oldest first.
    pub async fn recordings_of_call(&self, call_sid: &str) -> Result<Vec<Recording>, Error> {
        let url = self.url(&["Calls", call_sid, "Recordings.json"]);
        let (mut recordings, _) = self.list::<Recordings>(url, |_, _| false).await?;
        // Twilio lists the newest first. The stable sort keeps the reversed order within a second; undated ones come first.
        recordings.reverse();
        recordings.sort_by_key(Recording::created);
        Ok(recordings)
    }

    /// Returns a page of the account's recordings, newest first, with the `next_page_uri` of the page after it. `next` is that of
    /// the page before. They were made between these times, or up to a day earlier or later.
    pub async fn recordings_between(
        &self,
        since: Timestamp,
        until: Timestamp,
        size: usize,
        next: Option<&str>,
    ) -> Result<(Vec<Recording>, Option<String>), Error> {
        let [first, last] = days(since, until);
        let mut url = self.url(&["Recordings.json"]);
        url.query_pairs_mut()
            .append_pair("DateCreated>", &first)
            .append_pair("DateCreated<", &last)
            .append_pair("PageSize", &size.to_string());
        self.page::<Recordings>(url, next).await
    }

    pub async fn recording(&self, sid: &str) -> Result<Recording, Error> {
        let url = self.url(&["Recordings", &format!("{sid}.json")]);
        self.sender
            .get_json("fetch_recording", || self.request(Method::GET, url.clone()))
            .await
            .map(|(_, recording)| recording)
    }

    /// Deletes a recording with its audio. May be repeated; a deleted recording is
    /// [`Kind::NotFound`](crate::clients::Kind::NotFound).
    pub async fn delete_recording(&self, sid: &str) -> Result<(), Error> {
        let url = self.url(&["Recordings", &format!("{sid}.json")]);
        self.sender.delete("delete_recording", || self.request(Method::DELETE, url.clone())).await
    }

    /// Returns the URL of a recording's audio, which requires this account's credentials.
    pub fn media_url(&self, sid: &str) -> String {
        self.url(&["Recordings", sid]).into()
    }

    /// Returns the URL of a recording's audio: in external storage of the account, or at the configured API.
    pub fn audio_url(&self, recording: &Recording) -> String {
        match self.location(recording) {
            Location::Usual => self.media_url(&recording.sid),
            Location::OwnUrl(url) => url.into(),
            Location::External(url) => url,
        }
    }

    /// Returns what decrypts the audio of a recording, or `None` if it is not encrypted.
    pub fn decryption(&self, recording: &Recording) -> Result<Option<Decryption>, NotDecryptable> {
        let Some(details) = &recording.encryption_details else { return Ok(None) };
        if matches!(self.location(recording), Location::External(_)) {
            return Err(NotDecryptable::External);
        }
        self.recording_keys.open(details.as_ref().map_err(Clone::clone)?).map(Some)
    }

    /// Returns where the audio of a recording is.
    pub fn location(&self, recording: &Recording) -> Location {
        let is_url = |url: &&str| {
            let is_absolute = url.starts_with("https://") || url.starts_with("http://");
            let is_url = is_absolute || (url.starts_with('/') && !url.starts_with("//"));
            is_url && url.len() <= LONGEST_URL && url.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let Some(text) = recording.media_url.as_deref().filter(is_url) else { return Location::Usual };
        let Ok(mut url) = self.base.join(text) else { return Location::Usual };
        let is_own_host = url.host() == self.base.host() && url.port() == self.base.port();
        if is_own_host && url.scheme() == "http" && self.base.scheme() == "https" {
            // Twilio's documents name it without TLS.
            _ = url.set_scheme("https");
        }
        let path = url.path();
        if url.origin() == self.base.origin() {
            let path = path.strip_prefix(self.base.path().trim_end_matches('/')).unwrap_or_default();
            let is_usual = TWILIOS_PATHS.iter().any(|usual| path.starts_with(usual));
            if is_usual { Location::Usual } else { Location::OwnUrl(url) }
        } else if TWILIOS_PATHS.iter().any(|usual| path.contains(usual)) {
            // Another region's.
            Location::Usual
        } else {
            Location::External(text.to_owned())
        }
    }

    /// Returns `true` for a URL at the host of this client's API.
    pub fn is_own_host(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// Returns the path of a URL at this client's API or at Twilio's in any region, and `None` for every other URL.
    pub fn path_at_api<'u>(&self, url: &'u Url) -> Option<&'u str> {
        if self.is_own_host(url) {
            let path = url.path();
            return Some(path.strip_prefix(self.base.path().trim_end_matches('/')).unwrap_or(path));
        }
        let host = url.host_str()?;
        (host == "twilio.com" || host.ends_with(".twilio.com")).then(|| url.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::Deadlines;
    use crate::clients::twilio::Credentials;

    #[test]
    fn audio_is_fetched_with_credentials_at_the_apis_own_host_and_nowhere_else() {
        let location = |base: &str, media_url: &str| {
            let credentials = Credentials { user: "user".to_owned(), password: "password".into() };
            let twilio = Twilio::new(base.parse().unwrap(), "AC1".to_owned(), credentials, Deadlines::default());
            let json = serde_json::json!({"sid": "RE1", "status": "completed", "media_url": media_url});
            twilio.location(&serde_json::from_value(json).unwrap())
        };
        let own = |url: &str| Location::OwnUrl(url.parse().unwrap());
        let external = |url: &str| Location::External(url.to_owned());
        let (twilio, other) = ("https://api.twilio.com", "https://space.example.com/api/laml");
        for (base, media_url, expected) in [
            (twilio, "", Location::Usual),
            (twilio, "https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE1", Location::Usual),
            (twilio, "http://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE1", Location::Usual),
            (twilio, "https://api.ie1.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE1", Location::Usual),
            (twilio, "https://api.twilio.com/2008-08-01/Accounts/AC1/Recordings/RE1", Location::Usual),
            (twilio, "https://api.ie1.twilio.com/2008-08-01/Accounts/AC1/Recordings/RE1", Location::Usual),
            (twilio, "https://api.twilio.com/2008-08-01/RE1.wav", own("https://api.twilio.com/2008-08-01/RE1.wav")),
            (twilio, "http://api.twilio.com/v1/RE1", own("https://api.twilio.com/v1/RE1")),
            (twilio, "/v1/RE1.wav?a=b", own("https://api.twilio.com/v1/RE1.wav?a=b")),
            (twilio, "//bucket.example.com/RE1", Location::Usual),
            (twilio, "ftp://api.twilio.com/RE1", Location::Usual),
            (twilio, "javascript:alert(1)", Location::Usual),
            (twilio, "RE1.wav", Location::Usual),
            (twilio, "https://bucket.s3.amazonaws.com/RE1?a=b", external("https://bucket.s3.amazonaws.com/RE1?a=b")),
            (twilio, "https://api.twilio.com:8443/v1/RE1", external("https://api.twilio.com:8443/v1/RE1")),
            (twilio, "https://api.twilio.com.example.com/RE1", external("https://api.twilio.com.example.com/RE1")),
            (twilio, "https://api.twilio.com@example.com/RE1", external("https://api.twilio.com@example.com/RE1")),
            (other, "https://space.example.com/api/laml/2010-04-01/Accounts/AC1/Recordings/RE1", Location::Usual),
            (
                other,
                "https://space.example.com/2010-04-01/Accounts/AC1/Recordings/RE1",
                own("https://space.example.com/2010-04-01/Accounts/AC1/Recordings/RE1"),
            ),
            (other, "https://space.example.com/api/v1/RE1", own("https://space.example.com/api/v1/RE1")),
            ("http://127.0.0.1:8001", "http://127.0.0.1:8002/RE1", external("http://127.0.0.1:8002/RE1")),
        ] {
            assert_eq!(location(base, media_url), expected, "{media_url} at {base}");
        }
    }
}
