//! Twilio's lists, which come in pages. Source: <https://www.twilio.com/docs/usage/twilios-response#pagination>.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use reqwest::Method;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use super::Twilio;
use crate::clients::bounded::LARGEST_LIST;
use crate::clients::{Error, Kind};

/// Maximum number of entries on a page: the largest `PageSize` that Twilio allows.
pub(super) const LARGEST_PAGE: usize = 1_000;

/// Maximum number of pages read. There are 50 entries on a page: the calls between two numbers within minutes, or the
/// recordings of one call.
const PAGES: usize = 20;

/// A page. Each list has its own name for its entries.
pub(super) trait Page: DeserializeOwned {
    type Entry;

    /// What metrics call a request for a page.
    const OPERATION: &'static str;

    /// Returns the entries, newest first, and the `next_page_uri` if there are older ones.
    fn open(self) -> (Vec<Self::Entry>, Option<String>);
}

/// The days, in UTC, from that of `since` to the one after that of `until`. As a bound of a filter by time, Twilio reads a day as
/// its midnight.
pub(super) fn days(since: Timestamp, until: Timestamp) -> [String; 2] {
    let day = |time: Timestamp| time.to_zoned(TimeZone::UTC).date();
    [day(since), day(until).checked_add(1.day()).unwrap_or(Date::MAX)].map(|day| day.to_string())
}

impl Twilio {
    /// Reads a list, newest first, up to the first page that `is_enough`, at Twilio's time, or to its end. Returns it with
    /// Twilio's time. A list that leads back to one of its pages, or that is longer than any list here can be, is an error:
    /// a part of it must not pass for the whole.
    pub(super) async fn list<P: Page>(
        &self,
        url: Url,
        mut is_enough: impl FnMut(&[P::Entry], Option<Timestamp>) -> bool,
    ) -> Result<(Vec<P::Entry>, Option<Timestamp>), Error> {
        let begun = Instant::now();
        let (mut entries, mut size, mut date) = (Vec::new(), 0, None);
        let mut pages = vec![url];
        while let Some(url) = pages.last() {
            let (answer, page) =
                self.sender.get_json::<P>(P::OPERATION, || self.request(Method::GET, url.clone())).await?;
            size += answer.body.len();
            date = answer.date;
            let (more, next) = page.open();
            let next = next.filter(|_| !is_enough(&more, date));
            entries.extend(more);
            let Some(next) = next else { break };
            if begun.elapsed() > self.sender.deadlines.repeated {
                return Err(self.sender.error(Kind::Timeout));
            }
            let next = self.same_host(&next)?;
            if pages.contains(&next) || pages.len() == PAGES || size > LARGEST_LIST {
                return Err(self.sender.error(Kind::BadBody { path: "next_page_uri".to_owned() }));
            }
            pages.push(next);
        }
        Ok((entries, date))
    }

    /// Reads one page of a list, for lists that may be long: the first page, or the one at this `next_page_uri` of the page
    /// before. Returns its entries and its own `next_page_uri`.
    pub(super) async fn page<P: Page>(
        &self,
        first: Url,
        next: Option<&str>,
    ) -> Result<(Vec<P::Entry>, Option<String>), Error> {
        let url = next.map_or(Ok(first), |next| self.same_host(next))?;
        let (_, page) = self.sender.get_json::<P>(P::OPERATION, || self.request(Method::GET, url.clone())).await?;
        let (entries, after) = page.open();
        if after.is_some() && after.as_deref() == next {
            return Err(self.sender.error(Kind::BadBody { path: "next_page_uri".to_owned() }));
        }
        Ok((entries, after))
    }

    /// Resolves a `next_page_uri`, which is relative to the API's host or to its base path. A URL on another host is an
    /// error: it would receive our credentials.
    fn same_host(&self, uri: &str) -> Result<Url, Error> {
        let prefix = self.base.path().trim_end_matches('/');
        let uri =
            if uri.starts_with('/') && !uri.starts_with(prefix) { format!("{prefix}{uri}") } else { uri.to_owned() };
        let url = self.base.join(&uri).ok().filter(|url| url.origin() == self.base.origin());
        url.ok_or_else(|| self.sender.error(Kind::BadBody { path: "next_page_uri".to_owned() }))
    }
}
