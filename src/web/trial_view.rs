//! The shapes of trials, as JSON and for pages: what one would cost, and how far it is. What it has shown is in
//! `trial_result`.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::trial::{Arm, LeftOut, TrialId, TrialKind};
use crate::pipeline::trials::Plan;
use crate::store::{ArmProgress, Trial};

/// What a trial would do.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = TrialPlan)]
pub(super) struct PlanView {
    /// The id that the trial gets if it is confirmed with it.
    pub(super) id: String,
    /// A checksum of what would be ordered. Confirmed with it, nothing else is.
    pub(super) plan: String,
    #[schema(value_type = TrialKind, inline)]
    pub(super) kind: &'static str,
    pub(super) calls: usize,
    pub(super) recordings: usize,
    pub(super) transcripts: usize,
    /// The length of the recordings together; each arm transcribes them.
    pub(super) audio_seconds: i64,
    /// `None` if the price of an arm is not known.
    pub(super) cost_usd: Option<f64>,
    pub(super) left_out: LeftOut,
    pub(super) arms: Vec<ArmView>,
    /// The calls that take part.
    #[serde(skip)]
    pub(super) names: Vec<String>,
}

/// One way to transcribe.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ArmView {
    pub(super) arm: usize,
    pub(super) speech_models: Vec<String>,
    /// `None` for those of the settings, the call, its contact and the vocabulary.
    pub(super) keyterms: Option<Vec<String>>,
    pub(super) prompt: Option<String>,
    pub(super) price_per_hour_usd: Option<f64>,
    pub(super) cost_usd: Option<f64>,
}

/// A trial in the list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TrialRow {
    pub(super) id: String,
    #[schema(value_type = TrialKind, inline)]
    pub(super) kind: &'static str,
    /// `running`, `stopped` or `done`.
    pub(super) state: &'static str,
    pub(super) at: Option<Timestamp>,
    pub(super) by: String,
    pub(super) calls: i64,
    /// Of them, those that are deleted by now.
    pub(super) deleted_calls: i64,
    pub(super) recordings: i64,
    pub(super) audio_seconds: i64,
    pub(super) transcripts: ProgressView,
    /// What it costs if all of it is ordered; `None` if the price of an arm is not known.
    pub(super) cost_usd: Option<f64>,
    pub(super) cost_so_far_usd: Option<f64>,
    pub(super) left_out: LeftOut,
    pub(super) arms: Vec<ArmView>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = TrialProgress)]
pub(super) struct ProgressView {
    pub(super) total: i64,
    pub(super) completed: i64,
    pub(super) failed: i64,
}

impl PlanView {
    pub(super) fn of(id: &TrialId, plan: Plan) -> Self {
        let seconds = plan.seconds();
        let arms: Vec<ArmView> = plan.arms.iter().enumerate().map(|(at, arm)| ArmView::of(at, arm, seconds)).collect();
        Self {
            id: id.to_string(),
            plan: plan.checksum(),
            kind: plan.kind.as_str(),
            calls: plan.calls.len(),
            recordings: plan.recordings.len(),
            transcripts: plan.orders(),
            audio_seconds: seconds,
            cost_usd: sum(arms.iter().map(|arm| arm.cost_usd)),
            left_out: plan.left_out,
            arms,
            names: plan.calls.iter().map(|name| name.as_str().to_owned()).collect(),
        }
    }
}

impl ArmView {
    fn of(at: usize, arm: &Arm, seconds: i64) -> Self {
        Self {
            arm: at,
            speech_models: arm.speech_models.clone(),
            keyterms: arm.keyterms.clone(),
            prompt: arm.prompt.clone(),
            price_per_hour_usd: arm.price,
            cost_usd: arm.cost(seconds).map(rounded),
        }
    }

    /// What a page calls it.
    pub(super) fn name(&self) -> String {
        format!("Arm {}", self.arm + 1)
    }

    /// What is different.
    pub(super) fn title(&self) -> String {
        let mut title = self.speech_models.join(", ");
        match self.keyterms.as_deref() {
            Some([]) => title += ", without key terms",
            Some([_]) => title += ", with one key term",
            Some(terms) => title += &format!(", with {} key terms", terms.len()),
            None => {}
        }
        if self.prompt.is_some() {
            title += ", with a prompt";
        }
        title
    }
}

impl TrialRow {
    /// The day and time of its beginning, in UTC.
    pub(super) fn day(&self) -> String {
        self.at.map(|at| at.strftime("%Y-%m-%d %H:%M").to_string()).unwrap_or_default()
    }

    pub(super) fn of(trial: &Trial, size: [i64; 4], progress: &[(usize, ArmProgress)]) -> Self {
        let [recordings, calls, seconds, deleted_calls] = size;
        let mut transcripts = ProgressView::default();
        for (_, arm) in progress {
            transcripts.total += arm.orders;
            transcripts.completed += arm.completed;
            transcripts.failed += arm.failed;
        }
        let is_over = transcripts.completed + transcripts.failed == transcripts.total;
        let state = match (is_over, trial.stopped_at) {
            (false, _) => "running",
            (true, Some(_)) => "stopped",
            (true, None) => "done",
        };
        let arms: Vec<ArmView> = trial.arms.iter().enumerate().map(|(at, arm)| ArmView::of(at, arm, seconds)).collect();
        let so_far = progress.iter().map(|(at, progress)| trial.arms.get(*at)?.cost(progress.paid_seconds));
        Self {
            id: trial.id.to_string(),
            kind: trial.kind.as_str(),
            state,
            at: Timestamp::from_millisecond(trial.made_at).ok(),
            by: trial.made_by.clone(),
            calls,
            deleted_calls,
            recordings,
            audio_seconds: seconds,
            transcripts,
            cost_usd: sum(arms.iter().map(|arm| arm.cost_usd)),
            cost_so_far_usd: sum(so_far),
            left_out: trial.left_out,
            arms,
        }
    }
}

/// `None` if one of them is not known.
fn sum(costs: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    costs.sum::<Option<f64>>().map(rounded)
}

/// Rounds to hundredths of a cent.
pub(super) fn rounded(cost: f64) -> f64 {
    (cost * 10_000.0).round() / 10_000.0
}

/// Writes an estimated cost for people.
pub(super) fn about(cost: &Option<f64>) -> String {
    let written = dollars(cost);
    if written.starts_with('$') { format!("about {written}") } else { written }
}

/// Writes a cost for people.
pub(super) fn dollars(cost: &Option<f64>) -> String {
    match cost {
        None => "unknown".to_owned(),
        Some(cost) if *cost > 0.0 && *cost < 0.01 => "less than $0.01".to_owned(),
        Some(cost) => format!("${cost:.2}"),
    }
}
