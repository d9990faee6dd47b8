//! The Call resource. Source: <https://www.twilio.com/docs/voice/api/call-resource>.

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;

use super::pages::Page;
use super::{Twilio, date};
use crate::clients::Error;

/// Calls on a page of a list. Who asks for the calls of the last minutes finds them on the first.
const PAGE_SIZE: &str = "50";

/// Parameters of a new call.
#[derive(Debug)]
pub struct CreateCall<'a> {
    /// Who is called, E.164.
    pub to: &'a str,
    /// Caller id, E.164.
    pub from: &'a str,
    /// Where Twilio asks for TwiML once the call is answered.
    pub url: &'a str,
    /// Where Twilio says how the call gets on.
    pub status_callback: &'a str,
    /// The longest the call may last, in seconds.
    pub time_limit: u32,
}

/// A call, as far as it is used here.
#[derive(Debug, Clone, Deserialize)]
pub struct Call {
    /// `CA` and 32 hex digits.
    pub sid: String,
    /// `queued`, `ringing`, `in-progress`, `completed`, `busy`, `failed`, `no-answer` or `canceled`.
    pub status: String,
    /// Who was called.
    #[serde(default)]
    pub to: Option<String>,
    /// Who called.
    #[serde(default)]
    pub from: Option<String>,
    /// `inbound`, or one that begins with `outbound`.
    #[serde(default)]
    pub direction: Option<String>,
    /// RFC 2822.
    #[serde(default)]
    pub date_created: Option<String>,
    /// RFC 2822, once it is over.
    #[serde(default)]
    pub end_time: Option<String>,
}

impl Call {
    /// Whether the call is not over.
    pub fn is_up(&self) -> bool {
        matches!(self.status.as_str(), "queued" | "ringing" | "in-progress")
    }

    /// When it was placed, to the second.
    pub fn created(&self) -> Option<Timestamp> {
        date(self.date_created.as_deref())
    }

    /// When it was over.
    pub fn ended(&self) -> Option<Timestamp> {
        date(self.end_time.as_deref())
    }
}

#[derive(Debug, Deserialize)]
struct Calls {
    calls: Vec<Call>,
    #[serde(default)]
    next_page_uri: Option<String>,
}

impl Page for Calls {
    type Entry = Call;

    fn open(self) -> (Vec<Call>, Option<String>) {
        (self.calls, self.next_page_uri)
    }
}

impl Twilio {
    /// Places a call: somebody's phone rings and it costs money, so it is sent once, whatever happens.
    ///
    /// # Errors
    /// [`Kind::Ambiguous`](crate::clients::Kind::Ambiguous) if nobody knows whether the phone rings.
    pub async fn create_call(&self, call: &CreateCall<'_>) -> Result<Call, Error> {
        let time_limit = call.time_limit.to_string();
        let form = [
            ("To", call.to),
            ("From", call.from),
            ("Url", call.url),
            ("Method", "POST"),
            ("StatusCallback", call.status_callback),
            ("StatusCallbackMethod", "POST"),
            ("StatusCallbackEvent", "initiated"),
            ("StatusCallbackEvent", "ringing"),
            ("StatusCallbackEvent", "answered"),
            ("StatusCallbackEvent", "completed"),
            ("TimeLimit", &time_limit),
        ];
        let request = self.request(Method::POST, self.url(&["Calls.json"])).form(&form);
        self.sender.once_json(request).await.map(|(_, call)| call)
    }

    /// How a call stands.
    ///
    /// # Errors
    /// As Twilio refuses, or fails to answer.
    pub async fn call(&self, sid: &str) -> Result<Call, Error> {
        let url = self.url(&["Calls", &format!("{sid}.json")]);
        self.sender.get_json(|| self.request(Method::GET, url.clone())).await.map(|(_, call)| call)
    }

    /// Deletes the entry of a call that is over. May be asked for again.
    ///
    /// # Errors
    /// [`Kind::NotFound`](crate::clients::Kind::NotFound) if it is gone.
    pub async fn delete_call(&self, sid: &str) -> Result<(), Error> {
        let url = self.url(&["Calls", &format!("{sid}.json")]);
        self.sender.delete(|| self.request(Method::DELETE, url.clone())).await
    }

    /// The calls from one number to another that were created at or after `since`, newest first. Twilio's dates have no
    /// parts of a second, so the second of `since` counts whole. A call without a readable date counts as too old.
    ///
    /// # Errors
    /// As Twilio refuses, or fails to answer.
    pub async fn calls_between(&self, to: &str, from: &str, since: Timestamp) -> Result<Vec<Call>, Error> {
        let mut url = self.url(&["Calls.json"]);
        url.query_pairs_mut().append_pair("To", to).append_pair("From", from).append_pair("PageSize", PAGE_SIZE);
        let is_recent = |call: &Call| call.created().is_some_and(|created| created.as_second() >= since.as_second());
        let mut calls = self.list::<Calls>(url, |page| page.last().is_some_and(|oldest| !is_recent(oldest))).await?;
        calls.retain(is_recent);
        Ok(calls)
    }
}
