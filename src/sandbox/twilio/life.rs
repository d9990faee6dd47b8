//! The life of a call, from the queue to its last status callback.

use axum::http::Method;
use serde_json::Value;
use tokio::sync::mpsc;
use url::Url;

use super::account::{Call, CallOptions, Document, Outcome, Recording};
use super::callback::Callback;
use super::create::{self, CallRequest};
use super::credentials::PHONE_NUMBER;
use super::emulator::{Stage, Twilio};
use super::form::Param;
use super::phone_book;
use super::wire::date;
use crate::clock;
use crate::sandbox::control::Callbacks;
use crate::sandbox::pace::wait;

impl Twilio {
    /// Starts a call from this number to the account's, whose voice webhook is `voice_url` from now on. Twilio fetches the
    /// TwiML from there by POST. Returns the call SID.
    ///
    /// # Panics
    /// If `voice_url` is no URL.
    pub fn inbound_call(&self, voice_url: &str, from: &str) -> String {
        let mut call = Call::new(PHONE_NUMBER, from);
        call.inbound = true;
        self.change(|account| voice_url.clone_into(&mut account.voice_url));
        let url = Url::parse(voice_url).expect("the address of a voice webhook");
        call.options = CallOptions { document: Document::At(Method::POST, url), ..CallOptions::default() };
        call.set_status("ringing");
        self.start_call(call).sid
    }

    /// Creates a call as requested through the API; returns the resource of the queued call.
    pub(super) fn create_call(&self, request: CallRequest) -> Value {
        let mut call = Call::new(&request.to, &request.from);
        call.options = request.options;
        self.start_call(call).json(None)
    }

    pub(super) fn start_call(&self, mut call: Call) -> Call {
        let call = self.change(|account| {
            call.outcome = match account.next_outcome.take() {
                Some(outcome) => outcome,
                // A number that `POST Calls` refuses.
                None if call.parent.is_some() && create::check_to(&call.to).is_err() => Outcome::Failed,
                None => phone_book::outcome(call.other_number()),
            };
            account.add_call(call.clone());
            if !call.inbound && call.parent.is_none() {
                account.count_placed(&call.options.document);
            }
            call
        });
        self.spawn(run(self.clone(), call.sid.clone()));
        call
    }
}

/// Runs a call until it ends.
async fn run(twilio: Twilio, sid: String) {
    let (callbacks, inbox) = mpsc::unbounded_channel();
    twilio.spawn(send_in_order(twilio.clone(), inbox));
    let reporter = Reporter { twilio: &twilio, sid: &sid, callbacks };
    let Some(call) = twilio.account().call(&sid).cloned() else { return };
    let time_limit = call.options.time_limit.filter(|_| twilio.inner.pace.speech);
    let time_limit = async {
        if let Some(limit) = time_limit {
            twilio.control.until(|| twilio.account().call(&sid)?.answered).await;
            tokio::time::sleep(limit).await;
        } else {
            std::future::pending().await
        }
    };
    tokio::select! {
        status = run_undisturbed(&reporter) => twilio.set_call_status(&sid, status),
        () = time_limit => twilio.set_call_status(&sid, "completed"),
        () = call.end.cancelled() => {}
    }
    twilio.end_recordings(&sid, |_| true);
    reporter.report("completed");
}

/// Runs a call that nobody hangs up early; returns its final status.
async fn run_undisturbed(reporter: &Reporter<'_>) -> &'static str {
    let Reporter { twilio, sid, .. } = reporter;
    let Some(call) = twilio.account().call(sid).cloned() else { return "failed" };
    let mut redirects = call.redirect.subscribe();
    let pace = twilio.inner.pace;
    if !call.inbound {
        wait(pace.call_queued).await;
        reporter.report("initiated");
        twilio.wait_while_held(Stage::Ringing).await;
        twilio.set_call_status(sid, "ringing");
        reporter.report("ringing");
        wait(pace.call_ringing).await;
        twilio.wait_while_held(Stage::InProgress).await;
        match call.outcome {
            Outcome::Busy => return "busy",
            Outcome::NoAnswer => return "no-answer",
            Outcome::Failed => return "failed",
            Outcome::Answered | Outcome::HangsUp | Outcome::Silent | Outcome::TooShort | Outcome::Voicemail => {}
        }
        twilio.set_call_status(sid, "in-progress");
        reporter.report("answered");
        if let Some((channels, status_callback)) = call.options.record.clone() {
            let audio = phone_book::message(call.other_number());
            twilio.start_recording(Recording {
                source: "OutboundAPI",
                channels,
                audio,
                status_callback,
                ..Recording::new(sid)
            });
        }
    }
    let mut document = call.options.document.clone();
    if call.parent.is_some() {
        return twilio.whisper(&call, document).await;
    }
    loop {
        let conversation = async {
            let status = twilio.converse(&call, document).await;
            let status = status.unwrap_or_else(|| twilio.status_at_the_end_of(&call.sid));
            twilio.wait_while_held(Stage::Completed).await;
            status
        };
        tokio::select! {
            biased;
            // This cannot fail: `call` keeps the sender.
            _ = redirects.changed() => {}
            status = conversation => return status,
        }
        document = redirects.borrow_and_update().clone();
        // The verb that was interrupted ends; a recording of the whole call goes on.
        twilio.end_recordings(sid, |recording| recording.source != "OutboundAPI");
    }
}

impl Twilio {
    /// Returns the final status of a call that no verb has ended.
    fn status_at_the_end_of(&self, sid: &str) -> &'static str {
        let is_answered = self.account().call(sid).is_some_and(|call| call.answered.is_some());
        if is_answered { "completed" } else { "no-answer" }
    }
}

/// Queues the status callbacks of one call.
struct Reporter<'a> {
    twilio: &'a Twilio,
    sid: &'a str,
    callbacks: mpsc::UnboundedSender<Callback>,
}

impl Reporter<'_> {
    /// Reports an event, if the program asked for it.
    fn report(&self, event: &str) {
        let callback = self.twilio.change(|account| {
            let recording = account.recording_reported_with(self.sid).filter(|_| event == "completed").cloned();
            let call = account.call_mut(self.sid)?;
            let hook = call.options.status_callback.clone().filter(|hook| hook.wants(event))?;
            let mut params = params(call, event);
            call.sequence_number += 1;
            if let Some(mut recording) = recording {
                if recording.status == "in-progress" {
                    // It ends with this call, a moment later.
                    recording.duration = self.twilio.length_so_far(&recording);
                    recording.set_status("processing");
                }
                let all = recording.params(self.twilio.url()).into_iter();
                params.extend(all.filter(|(name, _)| matches!(name.as_str(), "RecordingUrl" | "RecordingSid")));
                params.push(("RecordingDuration".to_owned(), recording.seconds()));
            }
            Some(Callback { method: hook.method, url: hook.url, params })
        });
        if let Some(callback) = callback {
            // This fails only while the runtime shuts down.
            let _ = self.callbacks.send(callback);
        }
    }
}

fn params(call: &Call, event: &str) -> Vec<Param> {
    let mut params = call.params();
    let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
    add("CallbackSource", "call-progress-events".to_owned());
    add("SequenceNumber", call.sequence_number.to_string());
    add("Timestamp", date(clock::now()));
    if event == "completed" {
        let seconds = call.seconds().unwrap_or_default();
        add("CallDuration", seconds.to_string());
        add("Duration", seconds.div_ceil(60).to_string());
        let sip = match call.status {
            "busy" => "486",
            "no-answer" | "canceled" => "487",
            "failed" => "404",
            _ => "200",
        };
        add("SipResponseCode", sip.to_owned());
    } else if event == "initiated" {
        // Only for this event does `CallStatus` differ from the status of the resource.
        params.iter_mut().filter(|(name, _)| name == "CallStatus").for_each(|(_, value)| *value = event.to_owned());
    }
    params
}

/// Sends the status callbacks of one call one after the other, while the call goes on.
async fn send_in_order(twilio: Twilio, mut inbox: mpsc::UnboundedReceiver<Callback>) {
    let mut held_back = Vec::new();
    while let Some(callback) = inbox.recv().await {
        if twilio.control.callbacks() == Callbacks::Shuffled {
            held_back.push(callback);
        } else {
            twilio.report(&callback).await;
        }
    }
    twilio.control.shuffle(&mut held_back);
    for callback in &held_back {
        twilio.report(callback).await;
    }
}
