//! The Recording resource; `media` has its audio. Source: <https://www.twilio.com/docs/voice/api/recording>.

use reqwest::Method;
use serde::Deserialize;
use url::Url;

use super::pages::Page;
use super::{Twilio, date};
use crate::clients::Error;

/// A recording, as far as it is used here.
#[derive(Debug, Clone, Deserialize)]
pub struct Recording {
    /// `RE` and 32 hex digits.
    pub sid: String,
    /// The call it was made in.
    #[serde(default)]
    pub call_sid: Option<String>,
    /// `in-progress`, `paused`, `stopped`, `processing`, `completed`, `absent` or `deleted`.
    pub status: String,
    /// Seconds, written as a string; `-1` while it is not known.
    #[serde(default)]
    pub duration: Option<String>,
    /// 1 or 2.
    #[serde(default)]
    pub channels: Option<u32>,
    /// What made it, such as `RecordVerb`.
    #[serde(default)]
    pub source: Option<String>,
    /// Why it is absent.
    #[serde(default)]
    pub error_code: Option<i64>,
    /// RFC 2822.
    #[serde(default)]
    pub date_created: Option<String>,
    /// Where the audio is, in full; elsewhere than at Twilio if the account stores it so.
    #[serde(default)]
    pub media_url: Option<String>,
}

impl Recording {
    /// How long it is, in seconds, once that is known.
    pub fn seconds(&self) -> Option<u64> {
        self.duration.as_deref()?.parse().ok()
    }
}

#[derive(Debug, Deserialize)]
struct Recordings {
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
    /// All recordings of a call, over all pages, oldest first.
    ///
    /// # Errors
    /// As Twilio refuses, or fails to answer.
    pub async fn recordings_of_call(&self, call_sid: &str) -> Result<Vec<Recording>, Error> {
        let url = self.url(&["Calls", call_sid, "Recordings.json"]);
        let mut recordings = self.list::<Recordings>(url, |_| false).await?;
        // Twilio lists the newest first; those of the same second keep that order, reversed. What has no date comes first.
        recordings.reverse();
        recordings.sort_by_key(|recording| date(recording.date_created.as_deref()));
        Ok(recordings)
    }

    /// One recording.
    ///
    /// # Errors
    /// As Twilio refuses, or fails to answer.
    pub async fn recording(&self, sid: &str) -> Result<Recording, Error> {
        let url = self.url(&["Recordings", &format!("{sid}.json")]);
        self.sender.get_json(|| self.request(Method::GET, url.clone())).await.map(|(_, recording)| recording)
    }

    /// Deletes a recording with its audio. May be asked for again.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::clients::Kind::NotFound) if it is gone.
    pub async fn delete_recording(&self, sid: &str) -> Result<(), Error> {
        let url = self.url(&["Recordings", &format!("{sid}.json")]);
        self.sender.delete(|| self.request(Method::DELETE, url.clone())).await
    }

    /// The address of a recording's audio. It asks for this account's credentials.
    pub fn media_url(&self, sid: &str) -> String {
        self.url(&["Recordings", sid]).into()
    }

    /// The path of a URL of Twilio's API: this client's, or Twilio's in any region. `None` for every other URL.
    pub fn path_at_api<'u>(&self, url: &'u Url) -> Option<&'u str> {
        if url.origin() == self.base.origin() {
            return url.path().strip_prefix(self.base.path().trim_end_matches('/'));
        }
        let host = url.host_str()?;
        (host == "twilio.com" || host.ends_with(".twilio.com")).then(|| url.path())
    }
}
