//! Sends webhooks: claims due deliveries with a lease, a few of each receiver, sends them at the same time, and stores what
//! the receivers have answered. If the program dies meanwhile, the lease runs out, and the delivery is sent again with the
//! same id. A receiver gets what happened to the same item in order.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;

use super::job::{jittered, ms};
use super::worker::restart_until_stopped;
use crate::clients::webhook::{Attempt, WebhookAnswer, signature};
use crate::context::{Context, Shared};
use crate::failpoint::{self, Aborted, Commit, Moment};
use crate::model::call::Kind;
use crate::model::receiver::{DeliveryState, EventType, ReceiverId, ReceiverState};
use crate::store::{self, Delivery, Ended, Receiver};

/// Pauses after the first, second, … attempt that failed, three days in all. After the last one the delivery has failed.
const PAUSES: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];

/// The longest `Retry-After` of a receiver that a retry waits for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(24);

/// How long a claimed delivery is sent by nobody else: twice as long as a receiver may take.
const LEASE: Duration = Duration::from_secs(30);

/// How many deliveries to a receiver are sent at the same time, so that one that hangs holds up only its own.
const AT_ONCE: usize = 16;

/// The interval between two looks for due deliveries.
const TICK: Duration = Duration::from_secs(1);

/// How long a stop waits for answers. What is not answered by then is sent again after the next start.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// How long deliveries that have ended are kept.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// The interval between two deletions of old ones.
const PURGE: Duration = Duration::from_hours(1);

const GONE: &str = "it answered 410 Gone";

/// What the body of a webhook says. It has ids and states, and neither words nor numbers: it may be on its way for days, also
/// after a deletion.
#[derive(Serialize)]
struct Payload<'d> {
    #[serde(rename = "type")]
    event: &'static str,
    timestamp: Option<Timestamp>,
    data: Data<'d>,
}

#[derive(Serialize)]
struct Data<'d> {
    /// Our id of the call or upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_sid: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recording: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transcript: Option<&'d str>,
    state: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checked: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// An attempt that has ended: what the receiver answered, or why it did not.
enum Sent {
    Ended(Ended, Verdict),
    /// It was not sent, or nobody knows.
    Released(Delivery),
}

/// What an attempt means for the receiver.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Stays,
    /// It wants no more webhooks.
    Gone,
}

/// Sends webhooks as they become due, until the program stops.
pub(crate) async fn work(context: Shared) {
    restart_until_stopped(&context.stopping, || deliver(Arc::clone(&context))).await;
}

/// Sends all webhooks that are due, and those that become due meanwhile. Returns how many were sent. For tests, which run no
/// worker.
pub(crate) async fn drain(context: &Shared) -> usize {
    purge(context).await;
    let mut count = 0;
    loop {
        let claimed = claim(context, &HashMap::new()).await.expect("deliveries can be claimed");
        if claimed.is_empty() {
            return count;
        }
        count += claimed.len();
        let sent =
            futures_util::future::join_all(claimed.into_iter().map(|(to, one)| send(Arc::clone(context), to, one)));
        let sent = sent.await;
        while store(context, &sent).await.is_err() {}
    }
}

/// The deliveries that are being sent.
#[derive(Default)]
struct Sending {
    tasks: JoinSet<Sent>,
    claimed: HashMap<Id, Delivery>,
}

impl Sending {
    fn begin(&mut self, context: &Shared, to: Arc<Receiver>, delivery: Delivery) {
        let task = self.tasks.spawn(send(Arc::clone(context), to, delivery.clone()));
        self.claimed.insert(task.id(), delivery);
    }

    /// How many are being sent to each receiver.
    fn busy(&self) -> HashMap<ReceiverId, usize> {
        let mut busy = HashMap::new();
        for delivery in self.claimed.values() {
            *busy.entry(delivery.receiver).or_default() += 1;
        }
        busy
    }

    /// Waits for the next one that ends. Never returns while there is none.
    async fn next(&mut self) -> Option<Sent> {
        let Some(ended) = self.tasks.join_next_with_id().await else { return std::future::pending().await };
        self.ended(ended)
    }

    /// Returns those that have ended.
    fn take(&mut self) -> Vec<Sent> {
        let mut all = Vec::new();
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            all.extend(self.ended(ended));
        }
        all
    }

    fn ended(&mut self, ended: Result<(Id, Sent), tokio::task::JoinError>) -> Option<Sent> {
        match ended {
            Ok((id, sent)) => {
                self.claimed.remove(&id);
                Some(sent)
            }
            // It panicked, and is sent again when its lease runs out.
            Err(panic) => {
                self.claimed.remove(&panic.id());
                None
            }
        }
    }
}

async fn deliver(context: Shared) {
    let (mut sending, mut ended) = (Sending::default(), Vec::new());
    let mut purged: Option<Instant> = None;
    while !context.stopping.is_cancelled() {
        if purged.is_none_or(|at| at.elapsed() >= PURGE) {
            purge(&context).await;
            purged = Some(Instant::now());
        }
        ended.extend(sending.take());
        if !ended.is_empty() && store(&context, &ended).await.is_ok() {
            ended.clear();
        }
        if is_due(&context).await {
            match claim(&context, &sending.busy()).await {
                Ok(claimed) => claimed.into_iter().for_each(|(to, one)| sending.begin(&context, to, one)),
                Err(error) => tracing::warn!("cannot claim deliveries: {error}"),
            }
        }
        tokio::select! {
            () = context.stopping.cancelled() => {}
            sent = sending.next() => ended.extend(sent),
            () = tokio::time::sleep(TICK) => {}
        }
    }
    let last = async {
        while !sending.tasks.is_empty() {
            ended.extend(sending.next().await);
        }
    };
    _ = tokio::time::timeout(LAST_ANSWERS, last).await;
    ended.extend(sending.claimed.drain().map(|(_, delivery)| Sent::Released(delivery)));
    if !ended.is_empty() {
        _ = store(&context, &ended).await;
    }
}

/// Whether anything may be claimed. Reads without the write lock that claiming takes.
async fn is_due(context: &Shared) -> bool {
    let read = async { context.store.read().await?.is_delivery_due(context.clock.now_ms()).await };
    read.await.unwrap_or(true)
}

/// Claims deliveries to the receivers that are enabled and have fewer than [`AT_ONCE`] in progress. The commit waits for the
/// disk, and so for everything that was committed before it: a power cut never undoes what a receiver has heard of.
async fn claim(
    context: &Shared,
    busy: &HashMap<ReceiverId, usize>,
) -> Result<Vec<(Arc<Receiver>, Delivery)>, store::Error> {
    context
        .store
        .write(Commit::ClaimDeliveries, "", |mut tx| async move {
            let now = context.clock.now_ms();
            let mut claimed = Vec::new();
            for receiver in tx.receivers().await? {
                let free = AT_ONCE.saturating_sub(busy.get(&receiver.id).copied().unwrap_or_default());
                if receiver.state != ReceiverState::Enabled || free == 0 {
                    continue;
                }
                let some = tx.claim_deliveries(receiver.id, now, now + ms(LEASE), free as i64).await?;
                let receiver = Arc::new(receiver);
                claimed.extend(some.into_iter().map(|delivery| (Arc::clone(&receiver), delivery)));
            }
            Ok((tx, claimed))
        })
        .await
}

/// Sends a delivery once.
async fn send(context: Shared, to: Arc<Receiver>, delivery: Delivery) -> Sent {
    match attempt(&context, &to, &delivery).await {
        Ok((ended, verdict)) => Sent::Ended(ended, verdict),
        Err(Aborted) => Sent::Released(delivery),
    }
}

async fn attempt(context: &Context, to: &Receiver, delivery: &Delivery) -> Result<(Ended, Verdict), Aborted> {
    failpoint::reach(Moment::DeliveryStarts, &delivery.id)?;
    let now = context.clock.now_ms();
    let (timestamp, body) = (now.div_euclid(1_000), body(context, delivery));
    let signatures = to.secrets(now).map(|secret| signature(&secret.key(), &delivery.id, timestamp, &body)).collect();
    let attempt = Attempt { url: &to.url, id: &delivery.id, timestamp, signatures, body };
    let answered = context.webhooks.send(attempt).await;
    failpoint::reach(Moment::DeliveryAnswered, &delivery.id)?;
    let at = context.clock.now_ms();
    let (status, answer, retry_after) = match answered {
        Ok(WebhookAnswer { status, text, retry_after }) => (Some(status), text, retry_after),
        Err(error) => (None, error.to_string(), None),
    };
    let is_gone = status == Some(410);
    let pause = usize::try_from(delivery.attempts).ok().and_then(|attempts| PAUSES.get(attempts));
    let (state, due_at) = match (status, pause) {
        (Some(200..=299), _) => (DeliveryState::Delivered, at),
        (_, Some(pause)) if !is_gone => {
            let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
            (DeliveryState::Waiting, at + ms(jittered(*pause).max(asked)))
        }
        _ => (DeliveryState::Failed, at),
    };
    if state != DeliveryState::Delivered
        && let Some(times) = context.repeats.count(format!("receiver {} failed", to.id), at)
    {
        tracing::warn!(times, receiver = %to.id, status, "a webhook was not delivered; /webhooks/deliveries says why");
    }
    let verdict = if is_gone { Verdict::Gone } else { Verdict::Stays };
    Ok((Ended { delivery: delivery.clone(), state, due_at, status: status.map(i64::from), answer, at }, verdict))
}

/// Stores how attempts have ended. If the commit is lost with a power cut, the deliveries are sent again.
async fn store(context: &Shared, sent: &[Sent]) -> Result<(), store::Error> {
    let subject = sent.iter().map(Sent::id).next().unwrap_or_default();
    let stored = context.store.write_unsynced(Commit::StoreAnswers, subject, |mut tx| async move {
        let mut answers = BTreeMap::new();
        for one in sent {
            match one {
                Sent::Ended(ended, verdict) => {
                    tx.end_attempt(ended).await?;
                    let Ended { delivery: Delivery { receiver, .. }, status, answer, at, .. } = ended;
                    answers
                        .insert(*receiver, (status.map_or_else(|| answer.clone(), |status| status.to_string()), *at));
                    if *verdict == Verdict::Gone {
                        tx.end_receiver(*receiver, ReceiverState::Disabled, GONE, *at).await?;
                    }
                }
                Sent::Released(delivery) => tx.release_delivery(delivery, context.clock.now_ms()).await?,
            }
        }
        for (receiver, (answer, at)) in answers {
            tx.note_answer(receiver, &answer, at).await?;
        }
        Ok((tx, ()))
    });
    stored.await.inspect_err(|error| {
        if !matches!(error, store::Error::Aborted(_)) {
            tracing::warn!("cannot store what receivers of webhooks have answered: {error}");
        }
    })
}

impl Sent {
    /// The id of the delivery.
    fn id(&self) -> &str {
        match self {
            Self::Ended(Ended { delivery, .. }, _) | Self::Released(delivery) => &delivery.id,
        }
    }
}

/// Deletes what has ended long ago, and keys that are no longer remembered.
async fn purge(context: &Shared) {
    let mut is_first = true;
    while !context.stopping.is_cancelled() {
        let purged = context.store.write_unsynced(Commit::PurgeDeliveries, "", |mut tx| async move {
            let now = context.clock.now_ms();
            if is_first {
                tx.forget_old_secrets(now).await?;
                tx.purge_keys(now).await?;
                tx.bring_deliveries_forward(now).await?;
            }
            let is_more = tx.purge_deliveries(now - ms(KEPT)).await?;
            Ok((tx, is_more))
        });
        match purged.await {
            Ok(true) => is_first = false,
            Ok(false) => return,
            Err(error) => return tracing::warn!("cannot delete old deliveries: {error}"),
        }
    }
}

/// Returns the body of a webhook: the same at every attempt, as long as `BASE_URL` is, and nothing is deleted.
fn body(context: &Context, delivery: &Delivery) -> String {
    let payload = Payload {
        event: delivery.event.as_str(),
        timestamp: Timestamp::from_millisecond(delivery.happened_at).ok(),
        data: Data {
            call: delivery.call.as_deref(),
            call_sid: delivery.call_sid.as_deref(),
            kind: delivery.call_kind.map(Kind::as_str),
            recording: delivery.recording.as_deref(),
            transcript: delivery.transcript.as_deref(),
            state: &delivery.outcome,
            reason: delivery.reason.as_deref(),
            version: delivery.version,
            checked: delivery.is_checked,
            url: path(delivery).map(|path| context.urls.at(&path)),
        },
    };
    serde_json::to_string(&payload).unwrap_or_default()
}

/// The path here of what a delivery is about, which a client may request.
fn path(delivery: &Delivery) -> Option<String> {
    let item = || {
        let name = delivery.call_sid.as_ref().or(delivery.call.as_ref())?;
        Some(if delivery.call_kind == Some(Kind::Upload) { format!("/items/{name}") } else { format!("/calls/{name}") })
    };
    let of = |room: &str, id: &Option<String>| id.as_ref().map(|id| format!("/{room}/{id}"));
    match delivery.event {
        EventType::CallCompleted => item(),
        EventType::RecordingCompleted => of("recordings", &delivery.recording),
        EventType::CallDeleted => None,
        _ => of("transcript", &delivery.transcript).or_else(item),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_tried_for_three_days() {
        let all: Duration = PAUSES.iter().sum();
        assert!((Duration::from_hours(72)..Duration::from_hours(96)).contains(&all), "{all:?}");
        assert!(PAUSES.is_sorted());
    }
}
