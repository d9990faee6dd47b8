//! The page of `/calls`: rows of calls, or search hits.

use askama::Template;
use axum::http::{HeaderMap, Uri, header};
use url::form_urlencoded;

use super::extract::only_header;
use super::filter::Search;
use super::forms::Refused;
use super::labels;
use super::pages::Notices;
use super::view::{CallList, CallRow, HitView};
use crate::model::dollars::Dollars;
use crate::model::standing::Progress;

#[derive(Template)]
#[template(path = "calls.html", config = "src/web/pages/askama.toml")]
pub(super) struct CallsPage {
    pub(super) notices: Notices,
    pub(super) heading: &'static str,
    /// The address of the list.
    pub(super) path: &'static str,
    pub(super) search: Search,
    pub(super) page: CallList,
    /// Why the search was refused.
    pub(super) refused: Option<Refused>,
    /// Whether newer calls are on another page.
    pub(super) is_older: bool,
}

impl CallsPage {
    /// Whether what is new appears on it: a first page, with the newest first.
    fn is_newest(&self) -> bool {
        !self.is_older && self.search.onward() == "Older"
    }
}

/// Returns the address of the list that the page was opened from, or of the newest calls.
pub(super) fn back(headers: &HeaderMap) -> String {
    let from = only_header(headers, header::REFERER.as_str()).and_then(|from| from.parse::<Uri>().ok());
    let host = only_header(headers, header::HOST.as_str());
    let is_list = |from: &Uri| {
        from.authority().map(|authority| authority.as_str()) == host
            && ["/", "/calls", "/calls/", "/items", "/items/"].contains(&from.path())
    };
    let list = from.filter(is_list).and_then(|from| Some(from.path_and_query()?.as_str().to_owned()));
    list.unwrap_or_else(|| "/items".to_owned())
}

impl CallList {
    pub(super) fn rows(&self) -> &[CallRow] {
        self.calls.as_deref().unwrap_or_default()
    }
}

impl CallRow {
    /// Returns how the call's transcript begins, or why there is none.
    pub(super) fn gist(&self) -> &str {
        let silence = if self.progress == Progress::Done { "Nothing was said." } else { "" };
        self.words.as_deref().or(self.call.reason.as_deref()).unwrap_or(silence)
    }

    /// Returns the call's progress in a word or two.
    pub(super) fn headline(&self) -> &'static str {
        match self.unconnected {
            Some(unconnected) => labels::unconnected_headline(unconnected),
            None => labels::headline(self.call.known_state, self.progress),
        }
    }
}

impl HitView {
    /// What its call has cost.
    fn cost(&self) -> Option<Dollars> {
        self.row.as_ref()?.cost_usd
    }

    /// Returns the address of the call's page, or of the transcript's own page if its call is not known. It names what was
    /// searched for, and recording and moment as its fragment.
    pub(super) fn page(&self, query: &str) -> String {
        let mut page = match &self.row {
            Some(row) => format!("{}?", row.call.path()),
            None => format!("/transcript/{}?format=html&", self.transcript_id.as_deref().unwrap_or_default()),
        };
        let start = page.len();
        page = form_urlencoded::Serializer::for_suffix(page, start).append_pair("q", query).finish();
        if let (Some(sid), Some(ms)) = (&self.recording_sid, self.at_ms) {
            page += &format!("#{sid}@{ms}");
        }
        page
    }

    /// Returns the moment of the first match as minutes and seconds.
    pub(super) fn moment(&self) -> Option<String> {
        self.at_ms.map(|ms| format!("{}:{:02}", ms / 60_000, ms / 1000 % 60))
    }
}
