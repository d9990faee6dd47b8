//! Receivers of webhooks and what was sent to them, as JSON and pages show them. No secret is among it.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::pages::timestamp;
use crate::model::call::Kind;
use crate::model::receiver::{DeliveryState, EventType, ReceiverId, ReceiverSource, ReceiverState};
use crate::store::{Conn, Delivery, Receiver};

#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ReceiverView {
    pub(super) id: String,
    pub(super) url: String,
    #[schema(value_type = ReceiverSource, inline)]
    source: &'static str,
    #[schema(value_type = ReceiverState, inline)]
    pub(super) state: &'static str,
    /// Why it is disabled.
    pub(super) reason: Option<String>,
    /// How many deliveries wait.
    pub(super) waiting: i64,
    /// What it last answered: a status, or why there was no answer.
    pub(super) answer: Option<String>,
    pub(super) answered_at: Option<Timestamp>,
    pub(super) at: Option<Timestamp>,
    by: String,
    /// Until when the secret before this one also signs.
    pub(super) old_secret_until: Option<Timestamp>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeliveryView {
    pub(super) id: String,
    pub(super) receiver: String,
    /// Of the receiver; `None` if that is removed.
    pub(super) url: Option<String>,
    #[serde(rename = "type")]
    #[schema(value_type = EventType, inline)]
    pub(super) event: &'static str,
    pub(super) happened_at: Option<Timestamp>,
    call: Option<String>,
    call_sid: Option<String>,
    #[schema(value_type = Option<Kind>, inline)]
    kind: Option<&'static str>,
    recording: Option<String>,
    transcript: Option<String>,
    #[schema(value_type = DeliveryState, inline)]
    pub(super) state: &'static str,
    pub(super) attempts: i64,
    /// When it is sent again, if it waits.
    pub(super) due_at: Option<Timestamp>,
    pub(super) answered_at: Option<Timestamp>,
    pub(super) status: Option<i64>,
    pub(super) answer: Option<String>,
    #[serde(skip)]
    is_deletion: bool,
}

impl ReceiverView {
    pub(super) async fn read(conn: &mut Conn, receiver: Receiver, now: i64) -> Result<Self, ApiError> {
        let waiting = conn.count_waiting(receiver.id).await?;
        let (answer, answered_at) = receiver.answered.unzip();
        let until = receiver.old_secrets.map(|(_, until)| until).filter(|until| now < *until);
        Ok(Self {
            id: receiver.id.to_string(),
            url: receiver.url,
            source: receiver.source.as_str(),
            state: receiver.state.as_str(),
            reason: receiver.reason,
            waiting,
            answer,
            answered_at: timestamp(answered_at),
            at: timestamp(Some(receiver.made_at)),
            by: receiver.made_by,
            old_secret_until: timestamp(until),
        })
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.state == ReceiverState::Enabled.as_str()
    }

    /// Whether `WEBHOOKS` names it, so that it cannot be removed here.
    pub(super) fn is_of_setting(&self) -> bool {
        self.source == ReceiverSource::Setting.as_str()
    }
}

impl DeliveryView {
    /// `receivers` are all that are not removed.
    pub(super) fn of(delivery: Delivery, receivers: &[Receiver]) -> Self {
        let url = |id: ReceiverId| receivers.iter().find(|one| one.id == id).map(|one| one.url.clone());
        let is_waiting = delivery.state == DeliveryState::Waiting;
        Self {
            id: delivery.id,
            receiver: delivery.receiver.to_string(),
            url: url(delivery.receiver),
            event: delivery.event.as_str(),
            happened_at: timestamp(Some(delivery.happened_at)),
            call: delivery.call,
            call_sid: delivery.call_sid,
            kind: delivery.call_kind.map(Kind::as_str),
            recording: delivery.recording,
            transcript: delivery.transcript,
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            due_at: timestamp(Some(delivery.due_at).filter(|_| is_waiting)),
            answered_at: timestamp(delivery.answered_at),
            status: delivery.status,
            answer: delivery.answer.filter(|answer| !answer.is_empty()),
            is_deletion: delivery.event == EventType::CallDeleted,
        }
    }

    /// The page of what it is about.
    pub(super) fn page(&self) -> Option<String> {
        if self.is_deletion {
            return None;
        }
        match (&self.call, &self.transcript) {
            (Some(call), _) => Some(format!("/items/{call}")),
            (None, Some(transcript)) => Some(format!("/transcript/{transcript}?format=html")),
            (None, None) => None,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.state == DeliveryState::Waiting.as_str()
    }
}
