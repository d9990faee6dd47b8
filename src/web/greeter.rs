//! The TwiML for answered calls, rendered once, and the limits of greeting.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::greeted::Greeted;
use super::rung::Rung;
use crate::context::Context;
use crate::model::call::{CallId, CallSid};
use crate::token_bucket::TokenBucket;
use crate::twiml::{self, Record, Say, Verb};

/// Twilio asks a second time if the first response was lost. A third request means that the call goes round in circles.
const GREETINGS: u8 = 2;

/// How often an operator who has pressed the key waits some seconds for the database: about a minute.
const WAITS: u8 = 10;

/// What the caller hears if nobody takes a forwarded call.
const NOBODY: &str = "Nobody can take your call now. Please leave a message.";

/// Burst size of the token bucket that limits storing "answered" for outbound calls. Their status callback reports it too,
/// so a flood of requests must not cost a transaction each. Twilio begins one call a second, unless more is agreed upon.
const NOTES: i64 = 16;

/// Milliseconds after which the bucket allows one more.
const NOTE_EVERY: i64 = 50;

#[derive(Debug)]
pub(super) struct Greeter {
    /// The document for a call that was not dialed here.
    for_others: String,
    /// The document for a call that was dialed here, split around its token.
    around_token: Vec<String>,
    /// What a caller hears whose forwarded call nobody took.
    after_forward: String,
    greeted: Greeted,
    waiting: Greeted,
    /// The phones that forwarded calls have rung.
    pub(super) rung: Rung,
    notes: Mutex<TokenBucket>,
    /// The bucket's time starts here.
    started: Instant,
}

impl Greeter {
    pub(super) fn new(context: &Context) -> Self {
        let any = CallId::new(0);
        let for_any = greeting(context, Some(&any));
        Self {
            for_others: greeting(context, None),
            around_token: for_any.split(any.as_str()).map(str::to_owned).collect(),
            after_forward: message(context, None, NOBODY.into()),
            greeted: Greeted::new(GREETINGS),
            waiting: Greeted::new(WAITS),
            rung: Rung::default(),
            notes: Mutex::new(TokenBucket::new(NOTES, NOTE_EVERY)),
            started: Instant::now(),
        }
    }

    pub(super) fn document(&self, token: Option<&CallId>) -> String {
        match token {
            Some(token) => self.around_token.join(token.as_str()),
            None => self.for_others.clone(),
        }
    }

    /// Counts a greeting. Returns `false` if the call was greeted often enough before.
    pub(super) fn may_greet(&self, call: &CallSid) -> bool {
        self.greeted.count(call)
    }

    pub(super) fn message_after_forward(&self) -> String {
        self.after_forward.clone()
    }

    /// Counts a wait for the database. Returns `false` if the operator has waited long enough.
    pub(super) fn may_wait(&self, call: &CallSid) -> bool {
        self.waiting.count(call)
    }

    /// Returns `false` if too many answered calls were stored just now.
    pub(super) fn may_note(&self) -> bool {
        let now_ms = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).take(now_ms)
    }
}

fn greeting(context: &Context, token: Option<&CallId>) -> String {
    message(context, token, said(context))
}

/// The greeting, as the settings have it spoken.
pub(super) fn said(context: &Context) -> Say {
    let call = &context.call;
    Say { text: call.greeting.clone(), language: call.language.clone(), voice: call.voice.clone() }
}

/// Speaks, records, and continues at `/record/done/`.
fn message(context: &Context, token: Option<&CallId>, say: Say) -> String {
    twiml::response(&[
        Verb::Say(say),
        Verb::Record(Record {
            action: context.urls.record_done(token),
            recording_status_callback: context.urls.recording_progress(token),
            max_length: context.call.max_seconds,
            timeout: context.call.silence_seconds,
            finish_on_key: context.call.finish_on_key,
        }),
        Verb::Hangup,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_of_calls_some_are_noted() {
        let mut notes = TokenBucket::new(NOTES, NOTE_EVERY);
        let noted = (0..10_000).filter(|flood| notes.take(flood / 100)).count();
        assert_eq!(noted, 16 + 1, "within 99 ms");
    }
}
