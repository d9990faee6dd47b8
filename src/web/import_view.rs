//! Imports as JSON and pages show them.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::pages::timestamp;
use super::trial_view::{about, rounded};
use super::view::{CallView, number};
use crate::model::import::{ImportFilter, ImportId, ImportState, ItemState};
use crate::pipeline::imports::{ImportProgress, Look, is_already};
use crate::store::{LeftOut, Number};

/// Which recordings are meant.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ImportFilter)]
pub(super) struct FilterView {
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) number: Option<String>,
    pub(super) min_seconds: Option<i64>,
    pub(super) max_seconds: Option<i64>,
    pub(super) channels: Option<i64>,
}

/// What an import would bring.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ImportPlan)]
pub(super) struct LookView {
    /// The id that the import gets if it is confirmed with it.
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) filter: FilterView,
    pub(super) recordings: i64,
    pub(super) seconds: i64,
    /// `None` if the price is not known.
    pub(super) cost_usd: Option<f64>,
    pub(super) already: i64,
    pub(super) skipped: i64,
    pub(super) skipped_because: Vec<SkippedView>,
}

/// How many recordings are left out for a reason.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct SkippedView {
    pub(super) reason: String,
    pub(super) recordings: i64,
}

/// How far an import is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ImportView {
    pub(super) id: String,
    #[schema(value_type = ImportState, inline)]
    pub(super) state: &'static str,
    /// Why it is paused, if nobody did that.
    pub(super) reason: Option<String>,
    pub(super) at: Option<Timestamp>,
    pub(super) by: String,
    #[serde(flatten)]
    pub(super) filter: FilterView,
    /// All recordings that it knows: of a list that is read to its end, also those that are skipped.
    pub(super) total: i64,
    pub(super) done: i64,
    pub(super) failed: i64,
    pub(super) skipped: i64,
    /// Of those that are skipped, how many have a transcript here, and why the others are.
    pub(super) already: i64,
    pub(super) skipped_because: Vec<SkippedView>,
    /// The length of those that are not skipped.
    pub(super) seconds: i64,
    pub(super) cost_usd: Option<f64>,
    /// Of those that are done.
    pub(super) cost_so_far_usd: Option<f64>,
    #[serde(skip)]
    pub(super) cost_of_failed: Option<f64>,
    pub(super) per_minute: Option<f64>,
    pub(super) left_seconds: Option<i64>,
    /// Recordings that failed or were skipped. The list of imports has none of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) left_out: Option<Vec<LeftOutView>>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ImportLeftOut)]
pub(super) struct LeftOutView {
    pub(super) recording: String,
    pub(super) at: Option<Timestamp>,
    pub(super) duration_seconds: i64,
    /// Its call, if that is here: what it is called in addresses.
    pub(super) call: Option<String>,
    /// The number at the other end, if it is known.
    pub(super) number: Option<String>,
    #[schema(value_type = ItemState, inline)]
    pub(super) state: &'static str,
    pub(super) reason: Option<String>,
}

impl FilterView {
    fn of(filter: &ImportFilter) -> Self {
        Self {
            since: timestamp(Some(filter.since)),
            until: timestamp(Some(filter.until)),
            number: filter.number.clone(),
            min_seconds: filter.min_seconds,
            max_seconds: filter.max_seconds,
            channels: filter.channels,
        }
    }

    /// What it restricts beside the time, for people.
    pub(super) fn others(&self) -> String {
        let number = self.number.as_deref().and_then(Number::parse).map(|number| match number {
            Number::Whole(number) => format!(", of calls to or from {number}"),
            Number::Ending(digits) => format!(", of calls to or from a number that ends in {digits}"),
        });
        let least = self.min_seconds.map(|seconds| format!(", at least {seconds} seconds long"));
        let most = self.max_seconds.map(|seconds| format!(", at most {seconds} seconds long"));
        let channels = self.channels.map(|channels| match channels {
            1 => ", with one channel".to_owned(),
            _ => ", with two channels".to_owned(),
        });
        [number, least, most, channels].into_iter().flatten().collect()
    }
}

impl LookView {
    pub(super) fn of(id: &ImportId, filter: &ImportFilter, look: Look) -> Self {
        let Look { recordings, seconds, already, skipped, skipped_because, cost } = look;
        let (id, filter, cost_usd) = (id.to_string(), FilterView::of(filter), cost.map(rounded));
        let skipped_because = SkippedView::all(skipped_because);
        Self { id, filter, recordings, seconds, cost_usd, already, skipped, skipped_because }
    }
}

impl SkippedView {
    fn all(reasons: impl IntoIterator<Item = (String, i64)>) -> Vec<Self> {
        reasons.into_iter().map(|(reason, recordings)| Self { reason, recordings }).collect()
    }
}

impl ImportView {
    pub(super) fn of(progress: ImportProgress) -> Self {
        let ImportProgress { import, counts, skipped_because, per_minute, left_seconds, .. } = progress;
        let (already, others): (Vec<_>, Vec<_>) = skipped_because.into_iter().partition(|(why, _)| is_already(why));
        Self {
            id: import.id.to_string(),
            state: import.state.as_str(),
            reason: import.reason,
            at: timestamp(Some(import.made_at)),
            by: import.made_by,
            filter: FilterView::of(&import.filter),
            total: counts.waiting + counts.ordered + counts.done + counts.failed + counts.skipped,
            done: counts.done,
            failed: counts.failed,
            skipped: counts.skipped,
            already: already.iter().map(|(_, recordings)| recordings).sum(),
            skipped_because: SkippedView::all(others),
            seconds: counts.seconds,
            cost_usd: progress.cost.map(rounded),
            cost_so_far_usd: progress.cost_so_far.map(rounded),
            cost_of_failed: progress.cost_of_failed,
            per_minute: per_minute.map(|speed| (speed * 10.0).round() / 10.0),
            left_seconds,
            left_out: None,
        }
    }

    fn is(&self, state: ImportState) -> bool {
        self.state == state.as_str()
    }

    /// Whether somebody can pause it.
    pub(super) fn is_active(&self) -> bool {
        self.is(ImportState::Listing) || self.is(ImportState::Running)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.is(ImportState::Paused)
    }

    pub(super) fn is_over(&self) -> bool {
        self.is(ImportState::Done) || self.is(ImportState::Canceled)
    }

    /// Whether what failed can be ordered once more.
    pub(super) fn can_retry(&self) -> bool {
        self.failed > 0 && (self.is(ImportState::Running) || self.is(ImportState::Done))
    }

    /// How many recordings have a transcript at the end, if none fails: what was said before somebody confirmed it.
    pub(super) fn wanted(&self) -> i64 {
        self.total - self.skipped
    }

    /// How many of these need nothing more.
    pub(super) fn ended(&self) -> i64 {
        self.done + self.failed
    }

    /// What the page says of it first.
    pub(super) fn headline(&self) -> &'static str {
        match ImportState::named(self.state) {
            Some(ImportState::Listing) => "Reading Twilio's list",
            Some(ImportState::Running) => "Goes on in the background, also after a restart",
            Some(ImportState::Paused) => "Paused",
            Some(ImportState::Canceled) => "Canceled: nothing more is ordered",
            Some(ImportState::Done) | None => "Done",
        }
    }

    /// How far it is, for people.
    pub(super) fn figures(&self) -> String {
        let wanted = self.wanted();
        let recordings = if wanted == 1 { "recording" } else { "recordings" };
        if self.is(ImportState::Listing) {
            return format!("{wanted} {recordings} found so far");
        }
        let mut figures = format!("{} of {wanted} {recordings} transcribed", self.done);
        if self.failed > 0 {
            figures += &format!(", {} failed", self.failed);
        }
        if let Some(speed) = self.per_minute {
            figures += &format!("; {speed} a minute");
        }
        if let Some(left) = self.left() {
            figures += &format!(", {left} left");
        }
        figures
    }

    /// What it costs, for people. `None` if the price is not known.
    pub(super) fn costs(&self) -> Option<String> {
        let (so_far, all) = (self.cost_so_far_usd.filter(|_| self.wanted() > 0)?, self.cost_usd?);
        Some(if self.is_over() {
            format!("Its transcripts cost {}", about(&Some(so_far)))
        } else {
            format!("Cost: {} so far, {} in all", about(&Some(so_far)), about(&Some(all)))
        })
    }

    /// How long the rest takes, for people.
    fn left(&self) -> Option<String> {
        let minutes = self.left_seconds.filter(|_| self.is(ImportState::Running))?.div_euclid(60);
        Some(match minutes {
            0 => "less than a minute".to_owned(),
            1 => "about a minute".to_owned(),
            2..=119 => format!("about {minutes} minutes"),
            _ => format!("about {} hours", (minutes + 30) / 60),
        })
    }

    pub(super) fn left_out(&self) -> &[LeftOutView] {
        self.left_out.as_deref().unwrap_or_default()
    }

    /// How many recordings were left out that the page does not list.
    pub(super) fn unlisted(&self) -> i64 {
        self.failed + self.skipped - self.already - self.left_out().len() as i64
    }
}

impl LeftOutView {
    pub(super) fn of(LeftOut { item, call }: LeftOut) -> Self {
        let call = call.as_ref().map(CallView::of);
        let party = call.as_ref().and_then(|call| call.direction.party(call.to.clone(), call.from.clone()));
        Self {
            recording: item.recording.to_string(),
            at: timestamp(Some(item.made_at)),
            duration_seconds: item.seconds,
            number: party.or(item.number),
            call: call.map(|call| call.name().to_owned()),
            state: item.state.as_str(),
            reason: item.reason,
        }
    }

    /// Who was at the other end, for people.
    pub(super) fn whom(&self) -> &str {
        number(self.number.as_ref())
    }

    /// What has become of it, for people.
    pub(super) fn outcome(&self) -> String {
        let what = if self.state == ItemState::Failed.as_str() { "failed" } else { "left out" };
        self.reason.as_ref().map_or_else(|| what.to_owned(), |reason| format!("{what}: {reason}"))
    }
}
