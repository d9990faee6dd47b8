//! Twilio's lists, which come in pages. Source: <https://www.twilio.com/docs/usage/twilios-response#pagination>.

use reqwest::Method;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use super::Twilio;
use crate::clients::{Error, Kind};

/// A page. Each list has its own name for its entries.
pub(super) trait Page: DeserializeOwned {
    type Entry;

    /// Returns the entries, newest first, and the `next_page_uri` if there are older ones.
    fn open(self) -> (Vec<Self::Entry>, Option<String>);
}

impl Twilio {
    /// Reads a list, newest first, up to the first page that `is_enough` or to its end.
    pub(super) async fn list<P: Page>(
        &self,
        mut url: Url,
        is_enough: impl Fn(&[P::Entry]) -> bool,
    ) -> Result<Vec<P::Entry>, Error> {
        let begun = Instant::now();
        let mut entries = Vec::new();
        loop {
            let (_, page) = self.sender.get_json::<P>(|| self.request(Method::GET, url.clone())).await?;
            let (more, next) = page.open();
            let next = next.filter(|_| !is_enough(&more));
            entries.extend(more);
            let Some(next) = next else { return Ok(entries) };
            if begun.elapsed() > self.sender.deadlines.repeated {
                return Err(self.sender.error(Kind::Timeout));
            }
            let next = self.same_host(&next)?;
            if next == url {
                return Err(self.sender.error(Kind::BadBody { path: "next_page_uri".to_owned() }));
            }
            url = next;
        }
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
