//! The list of transcripts, to find one whose id never arrived.
//! Source: <https://www.assemblyai.com/docs/api-reference/transcripts/list>.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use reqwest::Method;
use serde::Deserialize;
use tokio::time::Instant;

use super::{AssemblyAi, TranscriptStatus};
use crate::clients::bounded::{LARGEST_LIST, at_most};
use crate::clients::{Error, Kind};

/// Transcripts per page: the maximum AssemblyAI allows.
const LIMIT: usize = 200;

/// Maximum number of pages read. The transcripts of the last minutes are on the first one.
const PAGES: usize = 25;

/// Maximum number of pages read of a day, on which a whole account may have been imported.
const PAGES_OF_DAY: usize = 100;

/// What metrics call a request for a page.
const LIST: &str = "list_transcripts";

/// A transcript in the list.
#[derive(Debug, Clone, Deserialize)]
pub struct Listed {
    pub id: String,
    pub status: TranscriptStatus,
    #[serde(default)]
    pub audio_url: Option<String>,
    /// ISO 8601 without a time zone; it is UTC.
    #[serde(default)]
    pub created: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Page {
    page_details: PageDetails,
    #[serde(deserialize_with = "at_most::<LIMIT, _, _>")]
    transcripts: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct PageDetails {
    /// The next page: older transcripts.
    #[serde(default)]
    prev_url: Option<String>,
}

impl Listed {
    pub fn created_at(&self) -> Option<Timestamp> {
        let created = self.created.as_deref()?.trim();
        let named_zone = || created.parse::<Timestamp>().ok();
        let utc = || TimeZone::UTC.to_timestamp(created.parse::<DateTime>().ok()?).ok();
        named_zone().or_else(utc)
    }

    /// Returns `true` if the date cannot be read: the transcript may be the one searched for.
    fn may_be_since(&self, since: Timestamp) -> bool {
        self.created_at().is_none_or(|created| created >= since)
    }
}

impl AssemblyAi {
    /// Returns the transcripts ordered at or after `since`, newest first, and those without a readable date. `since` is by
    /// AssemblyAI's clock; it is given the `Date` of AssemblyAI's answer. Fails if they are not within the newest 5,000.
    pub async fn transcripts_since(
        &self,
        since: impl Fn(Option<Timestamp>) -> Timestamp,
    ) -> Result<Vec<Listed>, Error> {
        self.transcripts(since, None).await
    }

    /// Returns the time by AssemblyAI's clock, which is the `Date` of its answer.
    pub async fn date(&self) -> Result<Option<Timestamp>, Error> {
        let mut url = self.url(&["transcript"]);
        url.query_pairs_mut().append_pair("limit", "1");
        let (answer, _) = self.sender.get_json::<Page>(LIST, || self.request(Method::GET, url.clone())).await?;
        Ok(answer.date)
    }

    /// Asks once whether AssemblyAI accepts the key. Logs nothing.
    pub async fn check(&self) -> Result<(), Error> {
        let mut url = self.url(&["transcript"]);
        url.query_pairs_mut().append_pair("limit", "1");
        let page = self.sender.get_json_once::<Page>("check", self.request(Method::GET, url)).await;
        page.map(drop).inspect_err(|error| self.sender.note(&error.kind))
    }

    /// Returns the transcripts ordered on this day (in UTC), newest first. Fails if they are more than 20,000.
    pub async fn transcripts_of_day(&self, day: Date) -> Result<Vec<Listed>, Error> {
        self.transcripts(|_| Timestamp::MIN, Some(day)).await
    }

    async fn transcripts(
        &self,
        since: impl Fn(Option<Timestamp>) -> Timestamp,
        day: Option<Date>,
    ) -> Result<Vec<Listed>, Error> {
        let begun = Instant::now();
        let mut found: Vec<Listed> = Vec::new();
        let mut before: Vec<String> = Vec::new();
        let mut size = 0;
        for _ in 0..if day.is_some() { PAGES_OF_DAY } else { PAGES } {
            let mut url = self.url(&["transcript"]);
            url.query_pairs_mut().append_pair("limit", &LIMIT.to_string());
            if let Some(day) = day {
                url.query_pairs_mut().append_pair("created_on", &day.to_string());
            }
            if let Some(id) = before.last() {
                url.query_pairs_mut().append_pair("before_id", id);
            }
            let (answer, page) = self.sender.get_json::<Page>(LIST, || self.request(Method::GET, url.clone())).await?;
            let since = since(answer.date);
            let is_last = page.page_details.prev_url.is_none()
                || page.transcripts.iter().any(|transcript| !transcript.may_be_since(since));
            // Page by the last id, not by `prev_url`: a URL from outside could receive our key.
            let oldest = page.transcripts.last().map(|transcript| transcript.id.clone());
            found.extend(page.transcripts.into_iter().filter(|transcript| transcript.may_be_since(since)));
            if is_last {
                return Ok(found);
            }
            // Without a new last id there is no next page to request.
            let Some(oldest) = oldest.filter(|oldest| !before.contains(oldest)) else {
                return Err(self.sender.error(Kind::BadBody { path: "page_details.prev_url".to_owned() }));
            };
            size += answer.body.len();
            if size > LARGEST_LIST * day.map_or(1, |_| PAGES_OF_DAY / PAGES) {
                break;
            }
            if begun.elapsed() > self.sender.deadlines.repeated {
                return Err(self.sender.error(Kind::Timeout));
            }
            before.push(oldest);
        }
        // An incomplete list must not pass for a complete one: a transcript missing from it would be ordered again.
        Err(self.sender.error(Kind::BadBody { path: "page_details, which lists endless pages".to_owned() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_without_a_zone_is_in_utc() {
        let read = |created: &str| {
            let listed = Listed {
                id: String::new(),
                status: TranscriptStatus::Queued,
                audio_url: None,
                created: Some(created.to_owned()),
            };
            listed.created_at().map(|created| created.to_string())
        };
        for (created, expected) in [
            ("2026-11-23T01:50:00.123456", Some("2026-11-23T01:50:00.123456Z")),
            ("2026-11-23T01:50:00", Some("2026-11-23T01:50:00Z")),
            ("2026-11-23 01:50:00.5", Some("2026-11-23T01:50:00.5Z")),
            (" 2026-11-23T01:50:00Z\n", Some("2026-11-23T01:50:00Z")),
            ("2026-11-23T01:50:00+01:00", Some("2026-11-23T00:50:00Z")),
            ("", None),
            ("yesterday", None),
            ("1763862600", None),
            ("2026-13-23T01:50:00", None),
        ] {
            assert_eq!(read(created).as_deref(), expected, "{created}");
        }
    }
}
