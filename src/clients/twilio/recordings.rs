//! Recording resources; `media` has their audio. Source: <https://www.twilio.com/docs/voice/api/recording>.

use reqwest::Method;
use serde::Deserialize;
use url::Url;

use super::pages::{LARGEST_PAGE, Page};
use super::{Twilio, date};
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
    /// `in-progress`, `paused`, `stopped`, `processing`, `completed`, `absent` or `deleted`.
    pub status: String,
    /// Seconds; `-1` while unknown.
    #[serde(default)]
    pub duration: Option<String>,
    /// 1 or 2.
    #[serde(default)]
    pub channels: Option<u32>,
    /// Such as `RecordVerb`.
    #[serde(default)]
    pub source: Option<String>,
    /// Why the recording is absent.
    #[serde(default)]
    pub error_code: Option<i64>,
    /// RFC 2822.
    #[serde(default)]
    pub date_created: Option<String>,
    /// Full URL of the audio. Not at Twilio if the account uses external storage.
    #[serde(default)]
    pub media_url: Option<String>,
}

impl Recording {
    /// Returns the duration in seconds once it is known.
    pub fn seconds(&self) -> Option<u64> {
        self.duration.as_deref()?.parse().ok()
    }

    pub fn is_complete(&self) -> bool {
        self.status == "completed"
    }

    /// Returns `true` while the audio may still become available.
    pub fn is_coming(&self) -> bool {
        matches!(self.status.as_str(), "in-progress" | "paused" | "stopped" | "processing")
    }

    /// Returns the URL of the audio if it is in external storage of the account.
    pub fn external_url(&self) -> Option<&str> {
        let is_url = |url: &str| {
            let is_web = url.starts_with("https://") || url.starts_with("http://");
            is_web && url.len() <= LONGEST_URL && url.bytes().all(|byte| byte.is_ascii_graphic())
        };
        self.media_url.as_deref().filter(|url| !url.contains("/2010-04-01/Accounts/") && is_url(url))
    }
}

#[derive(Debug, Deserialize)]
struct Recordings {
    #[serde(deserialize_with = "at_most::<LARGEST_PAGE, _, _>")]
    recordings: Vec<Recording>,
    #[serde(default)]
    next_page_uri: Option<String>,
}

impl Page for Recordings {
    type Entry = Recording;

    fn open(self) -> (Vec<Recording>, Option<String>) {
        (self.recordings, self.next_page_uri)
    }
}

impl Twilio {
    /// Returns all recordings of a call, oldest first.
    pub async fn recordings_of_call(&self, call_sid: &str) -> Result<Vec<Recording>, Error> {
        let url = self.url(&["Calls", call_sid, "Recordings.json"]);
        let (mut recordings, _) = self.list::<Recordings>(url, |_, _| false).await?;
        // Twilio lists the newest first. The stable sort keeps the reversed order within a second; undated ones come first.
        recordings.reverse();
        recordings.sort_by_key(|recording| date(recording.date_created.as_deref()));
        Ok(recordings)
    }

    pub async fn recording(&self, sid: &str) -> Result<Recording, Error> {
        let url = self.url(&["Recordings", &format!("{sid}.json")]);
        self.sender.get_json(|| self.request(Method::GET, url.clone())).await.map(|(_, recording)| recording)
    }

    /// Deletes a recording with its audio. May be repeated; a deleted recording is
    /// [`Kind::NotFound`](crate::clients::Kind::NotFound).
    pub async fn delete_recording(&self, sid: &str) -> Result<(), Error> {
        let url = self.url(&["Recordings", &format!("{sid}.json")]);
        self.sender.delete(|| self.request(Method::DELETE, url.clone())).await
    }

    /// Returns the URL of a recording's audio, which requires this account's credentials.
    pub fn media_url(&self, sid: &str) -> String {
        self.url(&["Recordings", sid]).into()
    }

    /// Returns the URL of a recording's audio: in external storage of the account, or at the configured API.
    pub fn audio_url(&self, recording: &Recording) -> String {
        recording.external_url().map_or_else(|| self.media_url(&recording.sid), str::to_owned)
    }

    /// Returns the path of a URL at this client's API or at Twilio's in any region, and `None` for every other URL.
    pub fn path_at_api<'u>(&self, url: &'u Url) -> Option<&'u str> {
        if url.origin() == self.base.origin() {
            return url.path().strip_prefix(self.base.path().trim_end_matches('/'));
        }
        let host = url.host_str()?;
        (host == "twilio.com" || host.ends_with(".twilio.com")).then(|| url.path())
    }
}
