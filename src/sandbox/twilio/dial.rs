//! `<Dial>`: calls other numbers, connects the first that takes the call, and records both.
//!
//! The calls that it makes are children of the call whose TwiML it is. They live as all calls do, see `life`; each performs
//! the whisper of its `<Number>` and is ready to be connected when that is over. Twilio's documents say that the first to
//! pick up is connected, and not whether before the whisper or after it. Here it is after it, so that a voicemail box that
//! presses no key does not stop the other phones from ringing.

use std::time::Duration;

use super::account::{Call, Document, Outcome, Recording};
use super::application_error::ApplicationError;
use super::conversation::{Fetch, Next, absolute, method, resolve, status_callback};
use super::credentials::PHONE_NUMBER;
use super::emulator::{Stage, Twilio};
use super::form::Param;
use super::phone_book;
use super::twiml::{Dial, Number};
use crate::sandbox::pace::wait;

/// Twilio's error code for a caller id that the account may not use.
const INVALID_CALLER_ID: u32 = 13214;

impl Twilio {
    /// Calls the numbers, then fetches the action or, without one, goes on to the next verb.
    pub(super) async fn dial(&self, parent: &Call, current: &Fetch, verb: &Dial) -> Result<Next, ApplicationError> {
        let caller_id = caller_id(parent, verb)?;
        let hook = status_callback(current, &verb.recording_status_callback)?;
        let children: Result<Vec<Call>, _> =
            verb.numbers.iter().map(|number| child(parent, caller_id, current, number)).collect();
        let children = children?.into_iter().map(|child| self.start_call(child).sid).collect();
        let mut legs = Legs { twilio: self, children, recording: None };
        let record = |from_ringing, audio| {
            let record = verb.record.filter(|record| record.from_ringing == from_ringing)?;
            let (source, status_callback) = ("DialVerb", hook.clone());
            let new =
                Recording { source, channels: record.channels, audio, status_callback, ..Recording::new(&parent.sid) };
            Some(self.start_recording(new))
        };
        let conversation_with = |number: &str| phone_book::conversation(parent.other_number(), number);
        legs.recording = record(true, conversation_with(&verb.numbers[0].number));

        let connected = legs.first_ready().await;
        let mut talked = None;
        if let Some(child) = &connected {
            legs.hang_up(|sid| sid != child.sid);
            let audio = conversation_with(&child.to);
            self.answer(&parent.sid);
            legs.recording = legs.recording.take().or_else(|| record(false, audio.clone()));
            legs.tell_recording_to(child);
            let length = audio.duration().min(verb.time_limit);
            tokio::select! {
                () = self.talk_together([parent, child], length) => talked = Some(length),
                () = child.end.cancelled() => {}
            }
        }
        if let Some(sid) = &legs.recording {
            match talked {
                Some(length) => self.end_recording(sid, length),
                None => self.end_recordings(&parent.sid, |recording| recording.sid == *sid),
            }
        }
        if talked.is_some() && parent.outcome == Outcome::HangsUp {
            return Ok(Next::End("completed"));
        }
        legs.hang_up(|_| true);
        let Some(action) = &verb.action else { return Ok(Next::Verb) };
        let extra = legs.params(connected.as_ref());
        Ok(Next::Document(resolve(current, action, verb.method.as_deref(), extra)?))
    }

    /// Lets both speak for this long.
    async fn talk_together(&self, calls: [&Call; 2], length: Duration) {
        if self.inner.pace.speech {
            wait(length).await;
        }
        for call in calls {
            self.add_talk_time(call, length);
        }
        self.wait_while_held(Stage::Completed).await;
        self.wait_while_held(Stage::RecordingProcessing).await;
    }

    /// Performs the whisper for a child that has picked up. Returns the final status if that ends the call; otherwise the
    /// child is ready from then on, and `<Dial>` or a request ends it.
    pub(super) async fn whisper(&self, child: &Call, document: Document) -> &'static str {
        if let Some(status) = self.converse(child, document).await {
            return status;
        }
        self.change(|account| account.call_mut(&child.sid).map(|child| child.is_ready = true));
        std::future::pending().await
    }
}

/// The calls that one `<Dial>` has made. They end with it, also if its call is ended or redirected meanwhile.
struct Legs<'a> {
    twilio: &'a Twilio,
    /// Their SIDs.
    children: Vec<String>,
    /// SID of the recording.
    recording: Option<String>,
}

impl Drop for Legs<'_> {
    fn drop(&mut self) {
        self.hang_up(|_| true);
    }
}

impl Legs<'_> {
    /// Waits for a child that is ready to be connected. Returns `None` once all have ended.
    async fn first_ready(&self) -> Option<Call> {
        let find = || {
            let account = self.twilio.account();
            let mut live = self.children.iter().filter_map(|sid| account.call(sid)).filter(|call| !call.has_ended());
            match live.clone().find(|call| call.is_ready) {
                Some(ready) => Some(Some(ready.clone())),
                None => live.next().is_none().then_some(None),
            }
        };
        self.twilio.control.until(find).await
    }

    /// Ends the children whose SID `matches` names.
    fn hang_up(&self, matches: impl Fn(&str) -> bool) {
        self.twilio.change(|account| {
            for sid in self.children.iter().filter(|sid| matches(sid)) {
                if let Some(child) = account.call_mut(sid) {
                    child.hang_up();
                }
            }
        });
    }

    /// Has the last status callback of the child report the recording, if there is one.
    fn tell_recording_to(&self, child: &Call) {
        let recording = self.recording.clone();
        self.twilio.change(|account| account.call_mut(&child.sid).map(|child| child.dial_recording = recording));
    }

    /// Returns the parameters that the request for the action has beside those of the call: about the child that was
    /// connected or, if none was, the last to end.
    fn params(&self, connected: Option<&Call>) -> Vec<Param> {
        let account = self.twilio.account();
        let children = self.children.iter().filter_map(|sid| account.call(sid));
        let child = match connected {
            Some(child) => account.call(&child.sid),
            None => children.max_by_key(|child| child.ended),
        };
        let recording = self.recording.as_ref().and_then(|sid| account.recording(None, sid));
        let mut params = vec![("DialBridged", connected.is_some().to_string())];
        if let Some(child) = child {
            params.push(("DialCallStatus", child.status.to_owned()));
            params.push(("DialCallSid", child.sid.clone()));
            params.extend(child.seconds().map(|seconds| ("DialCallDuration", seconds.to_string())));
        }
        params.extend(recording.map(|recording| ("RecordingUrl", recording.media_url(self.twilio.url()))));
        params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Returns the number that the children see: the account's, or one of those of the call itself.
fn caller_id<'a>(parent: &'a Call, verb: &'a Dial) -> Result<&'a str, ApplicationError> {
    let caller_id = verb.caller_id.as_deref().unwrap_or(&parent.from);
    if [PHONE_NUMBER, &parent.to, &parent.from].contains(&caller_id) {
        return Ok(caller_id);
    }
    Err(ApplicationError::new(
        INVALID_CALLER_ID,
        "callerId of <Dial> is neither the account's number nor one of the call",
    ))
}

fn child(
    parent: &Call,
    caller_id: &str,
    current: &Fetch,
    Number { number, url, method: name, status_callback: hook }: &Number,
) -> Result<Call, ApplicationError> {
    let mut child = Call::new(number, caller_id);
    child.parent = Some(parent.sid.clone());
    child.options.status_callback = status_callback(current, hook)?;
    if let Some(url) = url {
        child.options.document = Document::At(method(name.as_deref()), absolute(current, url)?);
    }
    Ok(child)
}
