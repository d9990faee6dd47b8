//! The TwiML for answered calls, rendered once, and the limits of greeting.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::greeted::Greeted;
use crate::context::Context;
use crate::model::call::{CallId, CallSid};
use crate::token_bucket::TokenBucket;
use crate::twiml::{self, Record, Say, Verb};

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
    greeted: Greeted,
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
            greeted: Greeted::default(),
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

    /// Returns `false` if too many answered calls were stored just now.
    pub(super) fn may_note(&self) -> bool {
        let now_ms = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).take(now_ms)
    }
}

/// Says the greeting, records, and continues at `/record/done/`.
fn greeting(context: &Context, token: Option<&CallId>) -> String {
    twiml::response(&[
        Verb::Say(Say {
            text: context.call.greeting.clone(),
            language: context.call.language.clone(),
            voice: context.call.voice.clone(),
        }),
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
