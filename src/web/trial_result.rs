//! What a trial has shown, as JSON and for its page.

use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::paging;
use super::rates::KeytermsView;
use super::reading::length;
use super::trial_view::{ArmView, TrialRow};
use crate::context::Shared;
use crate::model::measure::Reference;
use crate::model::trial::{TrialId, TrialKind};
use crate::pipeline::accuracy::NORMALIZATION;
use crate::pipeline::trial_report::{self, ArmReport, Change, Place, RecordingReport, Sums};
use crate::pipeline::trials;

/// Recordings on one page.
const PAGE: i64 = 20;

/// A trial with what it has shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TrialView {
    #[serde(flatten)]
    pub(super) trial: TrialRow,
    /// Whether a retry would begin something.
    pub(super) can_retry: bool,
    /// The last request to make transcripts current, if there was one.
    pub(super) choosing: Option<ChoosingView>,
    pub(super) normalize: &'static str,
    /// Each arm beside what there was before, for each kind of reference.
    pub(super) figures: Vec<FiguresView>,
    /// Each recording, with every word that differs. `recordings` is their number.
    #[serde(rename = "results")]
    pub(super) recordings: Vec<RecordingView>,
    /// The address of the next page of recordings, if there is one.
    pub(super) next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChoosingView {
    /// `None` for the transcripts that there were before.
    pub(super) arm: Option<usize>,
    /// `running` or `done`.
    pub(super) state: &'static str,
    /// The recordings for which it is carried out, and all.
    pub(super) recordings: i64,
    pub(super) of: i64,
    /// Recordings whose transcript of this arm was finished later, and is not current.
    pub(super) later: i64,
    pub(super) by: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FiguresView {
    pub(super) arm: usize,
    #[schema(value_type = Reference, inline)]
    pub(super) reference: &'static str,
    /// In which direction the kind of reference leads one astray.
    pub(super) bias: &'static str,
    pub(super) calls: usize,
    pub(super) before: SumsView,
    pub(super) after: SumsView,
    pub(super) difference: DifferenceView,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SumsView {
    pub(super) words: u64,
    pub(super) substitutions: u64,
    pub(super) deletions: u64,
    pub(super) insertions: u64,
    /// `None`, because undefined, if nothing was said.
    pub(super) wer: Option<f64>,
    pub(super) cer: Option<f64>,
    pub(super) keyterms: KeytermsView,
}

/// By how much the figures of the arm are greater than those before.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrialDifference)]
pub(super) struct DifferenceView {
    pub(super) wer: ChangeView,
    pub(super) cer: ChangeView,
    pub(super) recall: ChangeView,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrialChange)]
pub(super) struct ChangeView {
    pub(super) value: Option<f64>,
    /// Where it is likely to be; `None` for one call.
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    /// Whether the interval excludes 0.
    pub(super) shown: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrialRecording)]
pub(super) struct RecordingView {
    pub(super) call: String,
    pub(super) recording: String,
    /// Then it has no places, and is in no figure.
    pub(super) deleted: bool,
    /// The transcript that there was before.
    pub(super) before: Option<String>,
    pub(super) transcripts: Vec<TranscriptView>,
    pub(super) places: Vec<PlaceView>,
    pub(super) more: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrialTranscript)]
pub(super) struct TranscriptView {
    pub(super) arm: usize,
    pub(super) id: Option<String>,
    pub(super) state: &'static str,
    pub(super) reason: Option<String>,
    pub(super) speech_model_used: Option<String>,
}

/// Words that some transcript has otherwise.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrialPlace)]
pub(super) struct PlaceView {
    pub(super) at_ms: i64,
    /// What stands in the transcript of the call now.
    pub(super) said: String,
    pub(super) heard: Vec<HeardView>,
    /// The address of the recording, from that moment on.
    pub(super) audio: String,
    /// Tells it apart from the other places of the recording, also when the page is written again.
    #[serde(skip)]
    pub(super) key: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HeardView {
    /// `None` is what there was before.
    pub(super) arm: Option<usize>,
    pub(super) text: String,
}

impl TrialView {
    /// With the recordings after `cursor`, as many as `limit` says.
    pub(super) async fn read(context: &Shared, id: &TrialId, cursor: &str, limit: &str) -> Result<Self, ApiError> {
        let on_page = paging::limit(limit, PAGE)?;
        let trial = trials::get(context, id).await?;
        let mut conn = context.store.read().await?;
        let (size, progress) = (conn.trial_size(id).await?, conn.trial_progress(id).await?);
        let [done, open, later] = conn.count_chosen(id).await?;
        let can_retry = trial.stopped_at.is_none() && !conn.failed_orders(id, 1).await?.is_empty();
        drop(conn);
        let choosing = trial.choosing.as_ref().map(|choosing| ChoosingView {
            arm: choosing.arm,
            state: if open > 0 { "running" } else { "done" },
            recordings: done,
            of: done + open,
            later,
            by: choosing.by.clone(),
        });
        let figures = trial_report::arms(context, id).await?.iter().map(FiguresView::of).collect();
        let (recordings, is_more) =
            trial_report::recordings(context, id, Some(cursor).filter(|cursor| !cursor.is_empty()), on_page as usize)
                .await?;
        let recordings: Vec<RecordingView> = recordings.into_iter().map(RecordingView::of).collect();
        let last = recordings.last().filter(|_| is_more);
        let next = last.map(|last| paging::next(&format!("/trials/{id}"), &[("limit", limit)], &last.recording));
        let trial = TrialRow::of(&trial, size, &progress);
        Ok(Self { trial, can_retry, choosing, normalize: NORMALIZATION.as_str(), figures, recordings, next })
    }

    pub(super) fn is_running(&self) -> bool {
        self.trial.state == "running"
    }

    /// Whether transcripts become current at this moment.
    pub(super) fn is_choosing(&self) -> bool {
        self.choosing.as_ref().is_some_and(|choosing| choosing.state == "running")
    }

    /// Whether the transcripts of an arm of this trial are current, or become so.
    pub(super) fn has_chosen(&self) -> bool {
        self.choosing.as_ref().is_some_and(|choosing| choosing.arm.is_some())
    }

    /// Whether it is this arm, with all that it has.
    pub(super) fn is_chosen(&self, arm: &usize) -> bool {
        self.choosing.as_ref().is_some_and(|choosing| choosing.arm == Some(*arm) && choosing.later == 0)
    }

    pub(super) fn arm_name(&self, arm: &usize) -> String {
        self.trial.arms.get(*arm).map(ArmView::name).unwrap_or_default()
    }

    /// Whether it is meant to replace transcripts.
    pub(super) fn is_again(&self) -> bool {
        self.trial.kind == TrialKind::Again.as_str()
    }
}

impl FiguresView {
    fn of(report: &ArmReport) -> Self {
        Self {
            arm: report.arm,
            reference: report.reference.as_str(),
            bias: match report.reference {
                Reference::Corrected => {
                    "these calls were corrected while somebody read what was heard before, and what sounds right stays: what \
                     there was before looks better than it is, beside any other model"
                }
                Reference::Checked => {
                    "these words were checked by ear while somebody read what was heard before, who may have missed what \
                     sounds right: what there was before may look better than it is, beside any other model"
                }
                Reference::Blind => "these stretches were typed from the audio alone, which favors no model",
            },
            calls: report.calls,
            before: SumsView::of(report.before),
            after: SumsView::of(report.after),
            difference: DifferenceView {
                wer: ChangeView::of(&report.word_errors),
                cer: ChangeView::of(&report.character_errors),
                recall: ChangeView::of(&report.recall),
            },
        }
    }
}

impl SumsView {
    fn of(Sums { edits, characters, terms }: Sums) -> Self {
        Self {
            words: edits.words(),
            substitutions: edits.substitutions,
            deletions: edits.deletions,
            insertions: edits.insertions,
            wer: edits.rate(),
            cer: characters.rate(),
            keyterms: KeytermsView::of(&terms),
        }
    }
}

impl ChangeView {
    fn of(change: &Change) -> Self {
        Self {
            value: change.value,
            low: change.interval.map(|interval| interval.low),
            high: change.interval.map(|interval| interval.high),
            shown: change.is_shown(),
        }
    }

    /// For people, in percentage points.
    pub(super) fn points(&self) -> String {
        let points = |share: f64| format!("{:+.1}", share * 100.0).replace('-', "\u{2212}");
        match (self.value, self.low, self.high) {
            (None, ..) => "undefined".to_owned(),
            (Some(value), Some(low), Some(high)) => {
                let verdict = if self.shown { "" } else { ": no difference shown" };
                format!("{} ({} to {}){verdict}", points(value), points(low), points(high))
            }
            (Some(value), ..) => format!("{}: one call says nothing of others", points(value)),
        }
    }
}

impl RecordingView {
    fn of(RecordingReport { of, orders, places, is_more }: RecordingReport) -> Self {
        let recording = of.recording.to_string();
        Self {
            call: of.call_sid.map_or_else(|| of.call.to_string(), |sid| sid.to_string()),
            deleted: of.is_deleted,
            before: of.baseline_id.map(|id| id.to_string()),
            transcripts: orders
                .into_iter()
                .map(|order| TranscriptView {
                    arm: order.arm,
                    id: order.transcript.map(|id| id.to_string()),
                    state: order.state.as_str(),
                    reason: order.reason,
                    speech_model_used: order.model,
                })
                .collect(),
            places: PlaceView::all(&recording, places),
            more: is_more,
            recording,
        }
    }
}

impl PlaceView {
    fn all(recording: &str, places: Vec<Place>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for place in places {
            // In each channel there may be one at the same moment.
            let others = all.iter().rev().take_while(|other| other.at_ms == place.at_ms).count();
            all.push(Self::of(recording, place, others));
        }
        all
    }

    fn of(recording: &str, Place { at_ms, said, heard }: Place, others: usize) -> Self {
        let key = format!("{recording}-{at_ms}-{others}");
        let audio = format!("/recordings/{recording}.wav#t={}.{:03}", at_ms / 1_000, at_ms % 1_000);
        let heard = heard.into_iter().map(|(arm, text)| HeardView { arm, text }).collect();
        Self { at_ms, said, heard, audio, key }
    }

    pub(super) fn clock(&self) -> String {
        length(&(self.at_ms / 1_000))
    }

    /// What a transcript has there; `None` if it is not finished.
    pub(super) fn text_of(&self, arm: Option<&usize>) -> Option<&str> {
        self.heard.iter().find(|heard| heard.arm.as_ref() == arm).map(|heard| heard.text.as_str())
    }
}
