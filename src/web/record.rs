//! `/record/`: what Twilio is to do with a call, dialled or inbound. Asks nothing of anybody, so it always answers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::extract::FromTwilio;
use crate::clients::twilio::callbacks::VoiceRequest;
use crate::context::{Context, Shared};
use crate::model::call::{CallId, CallSid, CallState, Direction};
use crate::pipeline::intake::{self, CallUpdate};
use crate::token_bucket::TokenBucket;
use crate::twiml::{self, Record, Verb};

/// Seconds of silence after which a recording ends.
const SILENCE: u32 = 5;

/// Twilio asks twice if the first answer was lost on its way. Whoever asks a third time goes round in circles.
const GREETINGS: u8 = 2;

/// So many calls are remembered as greeted, each instance its own: those of an hour in which one begins each second.
const REMEMBERED: usize = 3_600;

/// Burst size of the token bucket that limits storing "answered" for outbound calls. Their status callback reports it too,
/// so a flood of requests must not cost a transaction each. Twilio begins one call a second, unless more is agreed upon.
const NOTES: i64 = 16;

/// Milliseconds after which the bucket allows one more.
const NOTE_EVERY: i64 = 50;

const XML: HeaderValue = HeaderValue::from_static("text/xml; charset=utf-8");

/// What is said to calls that are answered, and to how many it was said.
#[derive(Debug)]
pub(super) struct Greeter {
    /// The document for a call that was not dialled here.
    for_others: String,
    /// The one for a call that was: what stands around its token.
    around_token: Vec<String>,
    greeted: Greeted,
    notes: Mutex<TokenBucket>,
    /// What the bucket counts time from.
    started: Instant,
}

/// How often calls were greeted, the oldest forgotten first. A call is known by the digits of its SID.
#[derive(Debug, Default)]
struct Greeted {
    inner: Mutex<(HashMap<u128, u8>, VecDeque<u128>)>,
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

    fn document(&self, token: Option<&CallId>) -> String {
        match token {
            Some(token) => self.around_token.join(token.as_str()),
            None => self.for_others.clone(),
        }
    }

    /// Returns `false` where too many answered calls would be stored at once.
    fn may_note(&self) -> bool {
        let now_ms = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).take(now_ms)
    }
}

impl Greeted {
    /// Whether the call is to be greeted once more.
    fn once_more(&self, call: &CallSid) -> bool {
        let call = call.number();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (counts, order) = &mut *inner;
        if let Some(count) = counts.get_mut(&call) {
            *count = count.saturating_add(1);
            return *count <= GREETINGS;
        }
        if order.len() == REMEMBERED
            && let Some(oldest) = order.pop_front()
        {
            counts.remove(&oldest);
        }
        counts.insert(call, 1);
        order.push_back(call);
        true
    }
}

/// Says the greeting, records, and goes on at `/record/done/`.
fn greeting(context: &Context, token: Option<&CallId>) -> String {
    twiml::response(&[
        Verb::Say(context.call.greeting.clone()),
        Verb::Record(Record {
            action: context.urls.record_done(token),
            recording_status_callback: context.urls.recording_progress(token),
            max_length: context.call.max_seconds,
            timeout: SILENCE,
        }),
        Verb::Hangup,
    ])
}

/// Greets and has recorded. That somebody answered is taken in on the side: Twilio does not wait for the database. Where too
/// much of that waits already it is left out: the call's status tells it as well, or its recording.
pub(super) async fn greet(
    context: Shared,
    greeter: Arc<Greeter>,
    FromTwilio { about, told: call }: FromTwilio<VoiceRequest>,
) -> Response {
    let sid = call.call_sid.parse::<CallSid>();
    if sid.as_ref().is_ok_and(|sid| !greeter.greeted.once_more(sid)) {
        tracing::warn!(sid = call.call_sid, "asked for the greeting again and again, hanging up");
        return xml(twiml::response(&[Verb::Hangup]));
    }
    let token = about.token();
    tracing::info!(
        call = token.as_ref().map(CallId::as_str),
        sid = call.call_sid,
        direction = call.direction,
        "answered, recording"
    );
    let document = greeter.document(token.as_ref());
    if (token.is_none() || greeter.may_note())
        && let (Ok(sid), Ok(place)) = (sid, Arc::clone(&context.answered_slots).try_acquire_owned())
    {
        let update = CallUpdate {
            token,
            sid,
            status: CallState::InProgress.as_str().to_owned(),
            direction: Direction::of_twilio(&call.direction),
            to: call.to,
            from: call.from,
        };
        let shared = Arc::clone(&context);
        let taking_in = async move {
            let _place = place;
            if let Err(error) = intake::call_update(&shared, update).await {
                tracing::warn!("that a call was answered could not be stored: {error}");
            }
        };
        context.tasks.spawn(taking_in.in_current_span());
    }
    xml(document)
}

/// Hangs up.
pub(super) async fn done(FromTwilio { about, told: call }: FromTwilio<VoiceRequest>) -> Response {
    tracing::info!(call = about.token().as_ref().map(CallId::as_str), sid = call.call_sid, "recorded, hanging up");
    xml(twiml::response(&[Verb::Hangup]))
}

fn xml(document: String) -> Response {
    ([(header::CONTENT_TYPE, XML)], document).into_response()
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

    #[test]
    fn a_call_is_greeted_twice_at_most_and_others_all_the_same() {
        let greeted = Greeted::default();
        let sid = |number: usize| format!("CA{number:032x}").parse::<CallSid>().expect("a SID");
        let asked: Vec<bool> = (0..4).map(|_| greeted.once_more(&sid(0))).collect();
        assert_eq!(asked, [true, true, false, false]);
        for other in 1..2 * REMEMBERED {
            assert!(greeted.once_more(&sid(other)));
        }
        assert_eq!(greeted.inner.lock().expect("no panic").0.len(), REMEMBERED, "and memory ends somewhere");
    }
}
