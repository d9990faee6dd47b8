//! The job that asks Twilio what a call has cost: Twilio says so some minutes after its end. Of the legs that it dialed and of
//! its recordings, which have prices of their own, that of each counts.

use std::time::Duration;

use super::Error;
use super::job::{self, JobError, Next, ms};
use crate::clients::Kind;
use crate::clients::twilio::{self, Recording};
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::call::{Call, CallId, CallName};
use crate::model::job::JobKind;
use crate::model::price::Price;
use crate::store::{self, Conn, Job};

/// When Twilio is asked, counted from the end of following the call. After that nobody asks any more.
const ASKED_AFTER: [Duration; 4] =
    [Duration::from_mins(10), Duration::from_hours(1), Duration::from_hours(6), Duration::from_hours(24)];

/// The longest pause of the job. One that is due later counts as set by a wrong clock.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// What is known of the price of a call.
#[derive(Debug)]
pub(super) struct Charged {
    pub(super) price: Option<Price>,
    /// Whether no part of it is missing.
    pub(super) is_complete: bool,
}

impl Charged {
    /// What Twilio says of a call that is over, of the legs that it dialed, and of its recordings.
    pub(super) fn of(call: &twilio::Call, legs: &[twilio::Call], recordings: &[Recording]) -> Self {
        let answered = legs.iter().filter(|leg| leg.duration.is_some_and(|seconds| seconds > 0));
        let legs = std::iter::once(call).chain(answered).map(of_call);
        let made = recordings.iter().filter(|recording| recording.is_complete()).map(of_recording);
        let all: Vec<Option<Price>> = legs.chain(made).collect();
        let is_complete = all.iter().all(Option::is_some);
        Self { price: Price::sum(all.into_iter().flatten()), is_complete }
    }
}

/// The price of a call or leg alone.
pub(super) fn of_call(call: &twilio::Call) -> Option<Price> {
    Price::read(call.price.as_deref()?, call.price_unit.as_deref())
}

pub(super) fn of_recording(recording: &Recording) -> Option<Price> {
    Price::read(recording.price.as_deref()?, recording.price_unit.as_deref())
}

/// Stores what the price of a call is as far as that is known, and opens the job that asks for the rest.
pub(super) async fn settle(tx: &mut Conn, call: &CallId, charged: &Charged, now: i64) -> Result<(), store::Error> {
    if let Some(price) = &charged.price {
        tx.set_price(call, price).await?;
    }
    if charged.is_complete {
        return Ok(());
    }
    tx.open_job(JobKind::Price, call.as_str(), now + ms(ASKED_AFTER[0]), now).await
}

pub(super) async fn run(context: &Shared, job: &Job) -> Result<(), JobError> {
    let id: CallId = job.subject.parse().map_err(|_| store::Error::Unreadable("jobs.subject"))?;
    let call = context.store.read().await?.call(&CallName::Id(id.clone())).await?;
    let Some(Call { sid: Some(sid), deletion: None, .. }) = &call else { return job::close(context, job).await };
    let asks = usize::try_from(job.polls).unwrap_or_default();
    let Some(after) = ASKED_AFTER.get(asks) else { return job::close(context, job).await };
    let pending = || Error::Pending("Twilio has not said what the call costs");
    // The clock may have been set back meanwhile.
    let left = (job.created_at + ms(*after) - context.clock.now_ms()).min(ms(LONGEST_PAUSE));
    if let Ok(left @ 1..) = u64::try_from(left) {
        return Err(JobError { error: pending(), next: Next::Wait(Duration::from_millis(left)) });
    }
    let found = match context.twilio.call(sid.as_str()).await {
        // It was deleted there.
        Err(error) if matches!(error.kind, Kind::NotFound(_)) => return job::close(context, job).await,
        found => found?,
    };
    let mut charged = Charged::of(&found, &[], &[]);
    if charged.is_complete {
        let may_have_legs = call.as_ref().is_some_and(Call::may_have_legs);
        let legs = if may_have_legs { context.twilio.legs_of(sid.as_str()).await? } else { Vec::new() };
        let recordings = context.twilio.recordings_of_call(sid.as_str()).await?;
        charged = Charged::of(&found, &legs, &recordings);
    }
    let is_last = asks + 1 == ASKED_AFTER.len();
    let (id, charged) = (&id, &charged);
    let is_over = charged.is_complete || is_last;
    let subject = format!("{} {}", job.subject, job.claim);
    let stored = context.store.write(Commit::StorePrice, &subject, |mut tx| async move {
        let now = context.clock.now_ms();
        if let Some(price) = &charged.price {
            tx.set_price(id, price).await?;
        }
        if is_over {
            tx.end_job(job, None, now).await?;
        }
        Ok((tx, ()))
    });
    stored.await?;
    context.events.changed(id.as_str());
    if is_over {
        return Ok(());
    }
    let next = ASKED_AFTER[asks + 1].saturating_sub(*after).min(LONGEST_PAUSE);
    Err(JobError::poll_again(pending(), next))
}
