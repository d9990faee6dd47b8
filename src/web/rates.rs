//! Rates of how right transcripts are, as JSON and for people.

use serde::Serialize;
use utoipa::ToSchema;

use crate::accuracy::TermCounts;

/// How many key terms were heard, and how many wrongly.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeytermsView {
    pub(super) said: u64,
    pub(super) heard: u64,
    #[serde(rename = "false")]
    pub(super) wrongly_heard: u64,
    pub(super) recall: Option<f64>,
    pub(super) precision: Option<f64>,
}

impl KeytermsView {
    pub(super) fn of(terms: &TermCounts) -> Self {
        Self {
            said: terms.said,
            heard: terms.heard,
            wrongly_heard: terms.wrongly_heard,
            recall: terms.recall(),
            precision: terms.precision(),
        }
    }
}

/// Writes a share for people.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}\u{a0}%", share * 100.0)
}

/// Writes a rate for people that is undefined where nothing was said.
pub(super) fn percent_if_defined(rate: &Option<f64>) -> String {
    rate.map_or_else(|| "undefined".to_owned(), percent)
}
