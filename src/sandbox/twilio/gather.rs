//! `<Gather>`: says its prompt and asks for keys.

use super::account::{Call, Outcome};
use super::application_error::ApplicationError;
use super::conversation::{Fetch, Next, resolve};
use super::emulator::Twilio;
use super::twiml::{Gather, Verb};

/// The person on the phone has the patience for this many keys.
const MAX_KEYS: u32 = 20;

impl Twilio {
    /// Asks for keys, then fetches the action or, without one, the current document again. Without a key the next verb
    /// follows, unless the action is asked for then too.
    pub(super) async fn gather(&self, call: &Call, current: &Fetch, gather: &Gather) -> Result<Next, ApplicationError> {
        for verb in &gather.prompt {
            match verb {
                Verb::Say(text) => self.say(call, text).await,
                Verb::Pause(length) => self.listen(call, *length).await,
                _ => {}
            }
        }
        let digits = pressed(call.outcome, gather);
        let is_enough = gather.num_digits.is_some_and(|count| digits.len() >= count as usize);
        let is_finished = is_enough || (!digits.is_empty() && gather.finish_on_key.is_some());
        if !is_finished {
            self.listen(call, gather.timeout).await;
        }
        if digits.is_empty() && !gather.action_on_empty_result {
            return Ok(Next::Verb);
        }
        // No document says whether an empty result has no `Digits` or empty ones; Twilio sends other empty parameters.
        let extra = vec![("Digits".to_owned(), digits)];
        let action = gather.action.as_deref().unwrap_or_default();
        Ok(Next::Document(resolve(current, action, gather.method.as_deref(), extra)?))
    }
}

/// Returns the keys that the person on the phone presses, without the one that finishes: 1, or 2 if 1 finishes.
fn pressed(outcome: Outcome, gather: &Gather) -> String {
    if !outcome.presses_keys() {
        return String::new();
    }
    let key = if gather.finish_on_key == Some('1') { "2" } else { "1" };
    key.repeat(gather.num_digits.unwrap_or(1).min(MAX_KEYS) as usize)
}
