//! Call resources. Source: <https://www.twilio.com/docs/voice/api/call-resource>.

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde::Deserialize;

use super::pages::{LARGEST_PAGE, Page, days};
use super::{Twilio, date, lenient};
use crate::clients::Error;
use crate::clients::bounded::at_most;

/// Calls per page. Those of the last minutes are on the first page.
const PAGE_SIZE: &str = "50";

/// How many pages of a list are read at most where its newest entries are enough.
const NEWEST_PAGES: usize = 19;

/// Parameters of a new call.
#[derive(Debug)]
pub struct CreateCall<'a> {
    /// E.164.
    pub to: &'a str,
    /// Caller id, E.164.
    pub from: &'a str,
    /// Where Twilio requests TwiML once the call is answered.
    pub url: &'a str,
    pub status_callback: &'a str,
    /// Maximum duration of the call in seconds.
    pub time_limit: u32,
}

/// The two numbers of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    To,
    From,
}

/// The fields of a call that are used here.
#[derive(Debug, Clone, Deserialize)]
pub struct Call {
    pub sid: String,
    /// `queued`, `ringing`, `in-progress`, `completed`, `busy`, `failed`, `no-answer` or `canceled`.
    pub status: String,
    #[serde(default, deserialize_with = "lenient::text")]
    pub to: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub from: Option<String>,
    /// `inbound`, or `outbound-…`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub direction: Option<String>,
    /// RFC 2822.
    #[serde(default, deserialize_with = "lenient::text")]
    pub date_created: Option<String>,
    /// RFC 2822; set once the call was dialed, or came in.
    #[serde(default, deserialize_with = "lenient::text")]
    pub start_time: Option<String>,
    /// RFC 2822; set once the call has ended.
    #[serde(default, deserialize_with = "lenient::text")]
    pub end_time: Option<String>,
    /// Seconds from the answer to the end.
    #[serde(default, deserialize_with = "lenient::number")]
    pub duration: Option<i64>,
    /// What it costs, in a decimal number that is negative; set minutes after its end. Without its recordings and legs.
    #[serde(default, deserialize_with = "lenient::text")]
    pub price: Option<String>,
    /// ISO 4217.
    #[serde(default, deserialize_with = "lenient::text")]
    pub price_unit: Option<String>,
    /// Set for the leg that the call with this SID has dialed.
    #[serde(default, deserialize_with = "lenient::text")]
    pub parent_call_sid: Option<String>,
}

impl Call {
    /// Returns `true` until the call has ended.
    pub fn is_up(&self) -> bool {
        matches!(self.status.as_str(), "queued" | "ringing" | "in-progress")
    }

    /// To the second.
    pub fn created(&self) -> Option<Timestamp> {
        date(self.date_created.as_deref())
    }

    /// When it was dialed, or came in, to the second.
    pub fn started(&self) -> Option<Timestamp> {
        date(self.start_time.as_deref()).or_else(|| self.created())
    }

    /// To the second.
    pub fn ended(&self) -> Option<Timestamp> {
        date(self.end_time.as_deref())
    }

    /// When a call was answered that has ended since, to the second.
    pub fn answered(&self) -> Option<Timestamp> {
        let (ended, length) = (self.ended()?, SignedDuration::from_secs(self.duration?));
        let answered = ended.checked_sub(length).ok()?;
        // Twilio rounds the duration up.
        Some(date(self.start_time.as_deref()).map_or(answered, |started| answered.max(started)))
    }
}

#[derive(Debug, Deserialize)]
struct Calls {
    #[serde(deserialize_with = "at_most::<LARGEST_PAGE, _, _>")]
    calls: Vec<Call>,
    #[serde(default, deserialize_with = "lenient::text")]
    next_page_uri: Option<String>,
}

impl Page for Calls {
    type Entry = Call;

    const OPERATION: &'static str = "list_calls";

    fn open(self) -> (Vec<Call>, Option<String>) {
        (self.calls, self.next_page_uri)
    }
}

impl Twilio {
    /// Places a call. A phone rings and it costs money, so the request is sent once;
    /// [`Kind::Ambiguous`](crate::clients::Kind::Ambiguous) if it is unknown whether the phone rings. `may_send` is asked
    /// when the request is about to be written; if it returns `false`, nothing is sent.
    pub async fn create_call(
        &self,
        call: &CreateCall<'_>,
        may_send: impl Fn() -> bool + Send + 'static,
    ) -> Result<Call, Error> {
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
        self.sender.once_json("create_call", request, may_send).await.map(|(_, call)| call)
    }

    /// Fetches a call.
    pub async fn call(&self, sid: &str) -> Result<Call, Error> {
        let url = self.url(&["Calls", &format!("{sid}.json")]);
        self.sender.get_json("fetch_call", || self.request(Method::GET, url.clone())).await.map(|(_, call)| call)
    }

    /// Deletes a call that has ended. May be repeated; a deleted call is
    /// [`Kind::NotFound`](crate::clients::Kind::NotFound).
    pub async fn delete_call(&self, sid: &str) -> Result<(), Error> {
        let url = self.url(&["Calls", &format!("{sid}.json")]);
        self.sender.delete("delete_call", || self.request(Method::DELETE, url.clone())).await
    }

    /// Returns the calls to a number that were created at or after `since`, newest first, without legs that other calls
    /// have dialed, and Twilio's time. `since` is as for [`Twilio::calls_between`]. Reads [`NEWEST_PAGES`] pages at most, and
    /// returns whether there were more.
    pub async fn newest_calls_to(
        &self,
        to: &str,
        since: impl Fn(Option<Timestamp>) -> Timestamp,
    ) -> Result<(Vec<Call>, Option<Timestamp>, bool), Error> {
        let mut url = self.url(&["Calls.json"]);
        url.query_pairs_mut().append_pair("To", to).append_pair("PageSize", PAGE_SIZE);
        let is_recent =
            |call: &Call, date| call.created().is_some_and(|created| created.as_second() >= since(date).as_second());
        let (mut pages, mut is_cut) = (0, false);
        let is_enough = |page: &[Call], date| {
            pages += 1;
            let is_recent = page.last().is_none_or(|oldest| is_recent(oldest, date));
            is_cut = is_recent && pages == NEWEST_PAGES;
            !is_recent || is_cut
        };
        let (mut calls, date) = self.list::<Calls>(url, is_enough).await?;
        calls.retain(|call| is_recent(call, date) && call.parent_call_sid.is_none());
        Ok((calls, date, is_cut))
    }

    /// Returns a page of the calls to a number, or from it, or of all calls, with the `next_page_uri` of the page after it. `next` is that of the
    /// page before. They began between these times, or up to a day earlier or later.
    pub async fn calls_on_days(
        &self,
        of: Option<(Side, &str)>,
        since: Timestamp,
        until: Timestamp,
        next: Option<&str>,
    ) -> Result<(Vec<Call>, Option<String>), Error> {
        let [first, last] = days(since, until);
        let mut url = self.url(&["Calls.json"]);
        if let Some((side, number)) = of {
            let side = match side {
                Side::To => "To",
                Side::From => "From",
            };
            url.query_pairs_mut().append_pair(side, number);
        }
        url.query_pairs_mut()
            .append_pair("StartTime>", &first)
            .append_pair("StartTime<", &last)
            .append_pair("PageSize", &LARGEST_PAGE.to_string());
        self.page::<Calls>(url, next).await
    }

    /// Returns the legs that a call has dialed.
    pub async fn legs_of(&self, parent: &str) -> Result<Vec<Call>, Error> {
        let mut url = self.url(&["Calls.json"]);
        url.query_pairs_mut().append_pair("ParentCallSid", parent).append_pair("PageSize", PAGE_SIZE);
        let is_leg = |call: &Call| call.parent_call_sid.as_deref() == Some(parent);
        // An API that does not know the filter lists all calls.
        let (mut legs, _) = self.list::<Calls>(url, |page, _| !page.iter().all(is_leg)).await?;
        legs.retain(is_leg);
        Ok(legs)
    }

    /// Returns the calls between two numbers that were created at or after `since`, newest first, without legs that other
    /// calls have dialed. `since` is by Twilio's clock; it is given the `Date` of Twilio's answer. Twilio's dates are whole
    /// seconds, so all of the second of `since` counts. A call without a readable date counts as too old.
    pub async fn calls_between(
        &self,
        to: &str,
        from: &str,
        since: impl Fn(Option<Timestamp>) -> Timestamp,
    ) -> Result<Vec<Call>, Error> {
        let mut url = self.url(&["Calls.json"]);
        url.query_pairs_mut().append_pair("To", to).append_pair("From", from).append_pair("PageSize", PAGE_SIZE);
        let is_recent =
            |call: &Call, date| call.created().is_some_and(|created| created.as_second() >= since(date).as_second());
        let (mut calls, date) =
            self.list::<Calls>(url, |page, date| page.last().is_some_and(|oldest| !is_recent(oldest, date))).await?;
        calls.retain(|call| is_recent(call, date) && call.parent_call_sid.is_none());
        Ok(calls)
    }
}
