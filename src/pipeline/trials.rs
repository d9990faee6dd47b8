//! Trials: which recordings one takes, what it costs, and its beginning and its end. The transcripts are made by
//! `pipeline::submit`, as any other; the job of the trial (`pipeline::trial`) measures them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::job::ms;
use super::request::{self, AudioForm, TranscriptRequest};
use super::submit::STOPPED;
use super::task::run_to_end;
use super::{Error, price};
use crate::clients;
use crate::clients::twilio::MediaFormat;
use crate::config::speech_models;
use crate::context::{Context, Shared};
use crate::failpoint::Commit;
use crate::model::call::{Call, CallName};
use crate::model::job::JobKind;
use crate::model::keyterms::Keyterms;
use crate::model::recording::RecordingSid;
use crate::model::search::Query;
use crate::model::transcript::OrderId;
use crate::model::trial::{Arm, InTrial, LeftOut, TrialId, TrialKind};
use crate::model::vocabulary::TermId;
use crate::store::{Conn, Filter, KindFilter, Listed, Named, NewTranscript, Sort, Trial};

/// Maximum number of transcripts in a trial: one transaction stores them all, and others wait for it.
pub const MOST_ORDERS: usize = 1_000;

/// Orders that are due at once, and the pause before each further one. Jobs run in the order in which they are due, a limited
/// number at a time, and a call that is recorded meanwhile must not wait for hundreds of others.
const DUE_AT_ONCE: i64 = 12;
const PAUSE: Duration = Duration::from_millis(250);

/// Maximum number of calls among which a trial looks for those that it takes.
const MOST_CALLS: usize = 10_000;

/// Calls that are read at once.
const BATCH: i64 = 500;

/// What somebody wants to try.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub kind: TrialKind,
    pub calls: Selection,
    /// Each of them is an arm. `None` is one arm, with the models of the settings.
    pub speech_models: Option<Vec<String>>,
    /// `None` for those that every order gets.
    pub keyterms: Option<Keyterms>,
    pub prompt: Option<String>,
    /// What was asked for, in some form that is the same for the same.
    pub asked: String,
}

/// Which calls a trial takes.
#[derive(Debug, Clone)]
pub enum Selection {
    Calls(Vec<CallName>),
    /// Those that match as in the list of calls; the text is a query.
    Matching(Filter, String),
    /// Those in which something stands that was heard instead of a term of the vocabulary.
    MisheardTerm(TermId),
}

/// Whether a trial begins once somebody has confirmed a plan.
#[derive(Debug)]
pub enum Begun {
    /// Now, or by an earlier request with the same id.
    Trial(Trial),
    /// There is another plan by now than the one that was confirmed. Nothing is ordered.
    OtherPlan(Plan),
}

/// What a trial would do.
#[derive(Debug)]
pub struct Plan {
    pub kind: TrialKind,
    pub arms: Vec<Arm>,
    /// The calls that take part.
    pub calls: Vec<CallName>,
    pub recordings: Vec<Planned>,
    pub left_out: LeftOut,
}

#[derive(Debug, Clone)]
pub struct Planned {
    call: Call,
    recording: RecordingSid,
    baseline: OrderId,
    pub seconds: i64,
}

impl Plan {
    pub fn orders(&self) -> usize {
        self.recordings.len() * self.arms.len()
    }

    /// The length of the audio, which each arm transcribes.
    pub fn seconds(&self) -> i64 {
        self.recordings.iter().map(|planned| planned.seconds).sum()
    }

    /// A checksum of what would be ordered, and of its prices. It does not depend on how the calls were selected.
    pub fn checksum(&self) -> String {
        let mut recordings: Vec<&str> = self.recordings.iter().map(|planned| planned.recording.as_str()).collect();
        recordings.sort_unstable();
        clients::hex(&Sha256::digest(json!([self.kind.as_str(), self.arms, recordings]).to_string()))
    }
}

/// Returns what a trial would do. Orders nothing.
pub async fn plan(context: &Shared, wanted: &Wanted) -> Result<Plan, Error> {
    let arms = arms(context, wanted)?;
    let mut conn = context.store.read().await?;
    let selected = selected(&mut conn, &wanted.calls).await?;
    let mut plan =
        Plan { kind: wanted.kind, arms, calls: Vec::new(), recordings: Vec::new(), left_out: LeftOut::default() };
    for call in selected {
        add(&mut conn, &mut plan, call).await?;
    }
    if plan.orders() > MOST_ORDERS {
        return Err(Error::TooManyOrders { orders: plan.orders(), most: MOST_ORDERS });
    }
    Ok(plan)
}

/// Adds a call to the plan, or counts why it takes no part.
async fn add(conn: &mut Conn, plan: &mut Plan, call: Call) -> Result<(), Error> {
    if call.deletion.is_some() {
        plan.left_out.deleted += 1;
        return Ok(());
    }
    let mut candidates = conn.trial_candidates(&call.id).await?;
    candidates.retain(|candidate| candidate.is_recorded);
    if candidates.is_empty() {
        plan.left_out.no_recording += 1;
    }
    let before = plan.recordings.len();
    for candidate in candidates {
        let Some(baseline) = candidate.baseline else {
            plan.left_out.no_transcript += 1;
            continue;
        };
        if plan.kind == TrialKind::Trial && !candidate.has_reference {
            plan.left_out.no_reference += 1;
            continue;
        }
        let (recording, seconds) = (candidate.recording, candidate.seconds);
        plan.recordings.push(Planned { call: call.clone(), recording, baseline, seconds });
    }
    if plan.recordings.len() > before {
        plan.calls.push(call.sid.map_or(CallName::Id(call.id), CallName::Sid));
    }
    Ok(())
}

/// Returns the arms. Fails if a model would refuse the key terms.
fn arms(context: &Context, wanted: &Wanted) -> Result<Vec<Arm>, Error> {
    let lists = match &wanted.speech_models {
        Some(models) => models.iter().map(|model| vec![model.clone()]).collect(),
        None => vec![context.transcript.speech_models.clone()],
    };
    let arm = |speech_models: Vec<String>| {
        if let Some(keyterms) = &wanted.keyterms {
            speech_models::check(&speech_models, keyterms)?;
        }
        let parameters = request::parameters(context, Map::new(), &Keyterms::default());
        let price = speech_models.first().and_then(|model| price::rate(context, model, &parameters));
        let keyterms = wanted.keyterms.as_ref().map(|keyterms| keyterms.as_slice().to_vec());
        Ok(Arm { speech_models, keyterms, prompt: wanted.prompt.clone(), price })
    };
    lists.into_iter().map(arm).collect()
}

async fn selected(conn: &mut Conn, selection: &Selection) -> Result<Vec<Call>, Error> {
    let (mut calls, mut seen) = (Vec::new(), HashSet::new());
    let mut take = |call: Call| {
        if seen.insert(call.id.to_string()) {
            calls.push(call);
        }
        if calls.len() > MOST_CALLS { Err(Error::TooManyMatches(MOST_CALLS)) } else { Ok(()) }
    };
    match selection {
        Selection::Calls(names) => {
            for name in names {
                take(conn.call(name).await?.ok_or_else(|| Error::NoSuchCall(name.as_str().to_owned()))?)?;
            }
        }
        Selection::Matching(filter, said) if said.trim().is_empty() => {
            // AssemblyAI has the audio of an upload for a day or two only.
            let filter = &Filter { kind: filter.kind.or(Some(KindFilter::NoUploads)), ..filter.clone() };
            let mut after = None;
            loop {
                let Listed { calls, next } = conn.list(filter, Sort::Newest, after.as_ref(), BATCH).await?;
                calls.into_iter().try_for_each(&mut take)?;
                if next.is_none() {
                    break;
                }
                after = next;
            }
        }
        Selection::Matching(filter, said) => {
            let query = Query::parse(said);
            let named = conn.named(&query).await?;
            found(conn, &query, &named, filter, &mut take).await?;
        }
        Selection::MisheardTerm(term) => {
            let known = conn.term(term).await?.ok_or_else(|| Error::NoSuchTerm(term.to_string()))?;
            for heard in conn.heard_instead_of(&known.id).await? {
                found(conn, &Query::phrase(&heard), &[], &Filter::default(), &mut take).await?;
            }
        }
    }
    Ok(calls)
}

/// Takes the calls that the search index finds.
async fn found(
    conn: &mut Conn,
    query: &Query,
    named: &[Named],
    filter: &Filter,
    mut take: impl FnMut(Call) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut after = None;
    loop {
        let some = conn.hits(query, named, filter, after, BATCH).await?;
        let Some(last) = some.last() else { return Ok(()) };
        after = Some(last.rank);
        some.into_iter().filter_map(|hit| hit.call).try_for_each(&mut take)?;
    }
}

/// The id of the trial that this key begins.
pub fn id_of(key: &str) -> TrialId {
    let digest = Sha256::digest(format!("trial {key}"));
    let half = digest.first_chunk().copied().unwrap_or_default();
    TrialId::of(u128::from_be_bytes(half))
}

/// A new id.
pub fn new_id() -> TrialId {
    TrialId::of(Uuid::new_v4().as_u128())
}

/// Begins a trial, and orders its transcripts with the same commit. With the same id it begins once. `confirmed` is the
/// checksum of the plan that somebody has seen; without one, whatever the plan is by now is ordered.
pub async fn begin(
    context: &Shared,
    id: TrialId,
    wanted: &Wanted,
    confirmed: Option<&str>,
    by: String,
) -> Result<Begun, Error> {
    let asked = clients::hex(&Sha256::digest(&wanted.asked));
    // Sent a second time, it may match other calls by now.
    if let Some(known) = context.store.read().await?.trial(&id).await? {
        return same(known, &asked);
    }
    let plan = plan(context, wanted).await?;
    if confirmed.is_some_and(|confirmed| confirmed != plan.checksum()) {
        return Ok(Begun::OtherPlan(plan));
    }
    if plan.recordings.is_empty() {
        return Err(Error::NothingToTry(reasons(&plan.left_out)));
    }
    let (made_at, kind, arms, left_out) = (context.clock.now_ms(), plan.kind, plan.arms, plan.left_out);
    let orders: Vec<NewTranscript> = plan
        .recordings
        .iter()
        .flat_map(|planned| arms.iter().enumerate().map(|(at, arm)| order(context, &id, planned, at, arm, made_at)))
        .collect();
    let new = Trial { id, kind, asked, arms, left_out, made_at, made_by: by, stopped_at: None, choosing: None };
    let (shared, recordings, trial) = (Arc::clone(context), plan.recordings, new.clone());
    run_to_end(context, async move {
        let (trial, recordings, orders) = (&trial, &recordings, &orders);
        let begun = shared.store.write(Commit::BeginTrial, trial.id.as_str(), |mut tx| async move {
            if tx.add_trial(trial).await? {
                store(&mut tx, trial, recordings, orders).await?;
            }
            Ok((tx, ()))
        });
        begun.await?;
        shared.job_ready.notify_one();
        Ok::<_, Error>(())
    })
    .await?;
    same(get(context, &new.id).await?, &new.asked)
}

/// Returns a trial if it was asked for so.
fn same(known: Trial, asked: &str) -> Result<Begun, Error> {
    if known.asked == asked { Ok(Begun::Trial(known)) } else { Err(Error::OtherTrial(known.id.to_string())) }
}

fn reasons(left_out: &LeftOut) -> String {
    let LeftOut { deleted, no_recording, no_transcript, no_reference } = *left_out;
    let reasons = [
        (deleted, "deleted"),
        (no_recording, "without a recording"),
        (no_transcript, "without a transcript"),
        (no_reference, "neither corrected nor checked"),
    ];
    let reasons = reasons.iter().filter(|(count, _)| *count > 0).map(|(count, reason)| format!("{count} {reason}"));
    let reasons: Vec<String> = reasons.collect();
    if reasons.is_empty() { "no call matches".to_owned() } else { reasons.join(", ") }
}

/// The order of an arm for a recording.
fn order(context: &Context, trial: &TrialId, planned: &Planned, at: usize, arm: &Arm, now: i64) -> NewTranscript {
    let mut own = Map::new();
    own.insert("speech_models".to_owned(), json!(arm.speech_models));
    if let Some(prompt) = &arm.prompt {
        own.insert("prompt".to_owned(), json!(prompt));
    }
    let mut parameters = request::parameters(context, own, &Keyterms::default());
    if let Some(keyterms) = &arm.keyterms {
        parameters.shift_remove("keyterms_prompt");
        if !keyterms.is_empty() {
            parameters.insert("keyterms_prompt".to_owned(), json!(keyterms));
        }
    }
    let form = AudioForm { format: MediaFormat::Wav, channels: None };
    let (recording, audio) = (Some(planned.recording.clone()), form.to_string());
    let (checksum, channels_differ, has_default_models) = (None, None, false);
    let request = TranscriptRequest { recording, audio, checksum, parameters, channels_differ, has_default_models };
    let trial = Some(InTrial { trial: trial.clone(), arm: at });
    NewTranscript { request_key: None, trial, ..request.new_transcript(now) }
}

/// When an order of a trial is due, by its position among those that become due together.
pub(super) fn due_at(position: i64, now: i64) -> i64 {
    now + ms(PAUSE) * (position + 1 - DUE_AT_ONCE).max(0)
}

async fn store(
    tx: &mut Conn,
    trial: &Trial,
    recordings: &[Planned],
    orders: &[NewTranscript],
) -> Result<(), crate::store::Error> {
    let mut position = 0;
    for (planned, orders) in recordings.iter().zip(orders.chunks(trial.arms.len())) {
        // Somebody may have wanted it deleted since the plan was made.
        if tx.is_deletion_wanted(&planned.call.id).await? {
            continue;
        }
        tx.add_trial_recording(&trial.id, &planned.recording, &planned.baseline, planned.seconds).await?;
        for order in orders {
            tx.add_transcript(order).await?;
            let due = due_at(position, trial.made_at);
            tx.open_job(JobKind::Transcript, order.id.as_str(), due, trial.made_at).await?;
            position += 1;
        }
    }
    tx.open_job(JobKind::Trial, trial.id.as_str(), trial.made_at, trial.made_at).await
}

pub async fn get(context: &Context, id: &TrialId) -> Result<Trial, Error> {
    let found = context.store.read().await?.trial(id).await?;
    found.ok_or_else(|| Error::NoSuchTrial(id.to_string()))
}

/// Stops a trial: what is not ordered yet is not ordered any more. What is ordered comes to its end.
pub async fn stop(context: &Shared, id: &TrialId) -> Result<(), Error> {
    get(context, id).await?;
    let (shared, id) = (Arc::clone(context), id.clone());
    run_to_end(context, async move {
        let id = &id;
        let stopped = shared.store.write(Commit::StopTrial, id.as_str(), |mut tx| {
            let now = shared.clock.now_ms();
            async move {
                for order in tx.stop_trial(id, now).await? {
                    if tx.leave_unordered(&order, STOPPED, now).await? {
                        tx.close_job(JobKind::Transcript, order.as_str(), now).await?;
                    }
                }
                Ok((tx, ()))
            }
        });
        stopped.await?;
        shared.events.changed(id.as_str());
        Ok(())
    })
    .await
}

/// Begins to make the transcripts of an arm the current ones of their recordings, or with `None` those that there were before.
/// Corrections are carried over where the same was heard.
pub async fn choose(context: &Shared, id: &TrialId, arm: Option<usize>, by: String) -> Result<(), Error> {
    let trial = get(context, id).await?;
    if arm.is_some_and(|arm| arm >= trial.arms.len()) {
        return Err(Error::NoSuchArm { arms: trial.arms.len() });
    }
    let progress = context.store.read().await?.trial_progress(id).await?;
    if progress.iter().any(|(_, arm)| arm.completed + arm.failed < arm.orders) {
        return Err(Error::TrialRuns);
    }
    let (shared, id) = (Arc::clone(context), id.clone());
    run_to_end(context, async move {
        let (id, by, subject) = (&id, &by, Uuid::new_v4().to_string());
        let begun = shared.store.write(Commit::BeginChoosing, &subject, |mut tx| {
            let now = shared.clock.now_ms();
            async move {
                tx.choose_arm(id, arm, by, now).await?;
                tx.open_job(JobKind::Trial, id.as_str(), now, now).await?;
                Ok((tx, ()))
            }
        });
        begun.await?;
        shared.job_ready.notify_one();
        shared.events.changed(id.as_str());
        Ok(())
    })
    .await
}
