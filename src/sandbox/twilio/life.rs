//! The life of a call, from the queue to its last callback, and that of its recordings.

use std::time::Duration;

use axum::http::Method;
use serde_json::Value;
use tokio::sync::mpsc;

use super::create::Asked;
use super::state::{Call, Hook, Recording};
use super::wire::date;
use super::{Outcome, Stage, Twilio};
use crate::clients::twilio::signature::Param;
use crate::clock;
use crate::sandbox::control::Callbacks;
use crate::sandbox::pace::wait;
use crate::sandbox::speech;

/// Twilio's error for a recording with nothing in it.
const TOO_SHORT: u32 = 16101;

impl Twilio {
    /// Puts the call in the queue and lets it live; returns the resource as it is at the beginning.
    pub(super) fn begin_call(&self, asked: &Asked) -> Value {
        let call = self.change(|state| {
            let mut call = Call::new(&asked.to, &asked.from);
            call.outcome = std::mem::take(&mut state.next_outcome);
            call.plan = asked.plan.clone();
            state.add_call(call.clone());
            state.count_placed(&asked.plan.url);
            call
        });
        self.spawn(live(self.clone(), call.sid.clone()));
        call.json()
    }

    /// Waits for as long as this stage is held.
    pub(super) async fn reach(&self, stage: Stage) {
        // This cannot fail: `self` keeps the sender.
        let _ = self.inner.held.subscribe().wait_for(|held| !held.contains(&stage)).await;
    }

    /// Moves a call on.
    pub(super) fn enter(&self, sid: &str, status: &'static str) {
        self.change(|state| state.call_mut(sid).map(|call| call.enter(status)));
    }

    /// Begins a recording of this call; returns its SID.
    pub(super) fn begin_recording(&self, call: &str, source: &'static str, channels: u8, hook: Option<Hook>) -> String {
        let new = Recording { source, channels, hook, ..Recording::new(call) };
        let recording = self.change(|state| state.add_recording(new));
        self.tell(&recording);
        recording.sid
    }

    /// Ends a recording. Its file is there a moment later, or never if there is nothing in it.
    pub(super) fn end_recording(&self, sid: &str, duration: Duration) {
        self.change(|state| {
            if let Some(recording) = state.recording_mut(sid) {
                recording.duration = duration;
                recording.enter("processing");
            }
        });
        let (twilio, sid) = (self.clone(), sid.to_owned());
        self.spawn(async move {
            wait(twilio.inner.pace.recording_processing).await;
            twilio.reach(Stage::RecordingCompleted).await;
            let recording = twilio.change(|state| {
                let recording = state.recording_mut(&sid)?;
                recording.error_code = duration.is_zero().then_some(TOO_SHORT);
                recording.enter(if duration.is_zero() { "absent" } else { "completed" });
                Some(recording.clone())
            });
            // It may have been deleted meanwhile.
            if let Some(recording) = recording {
                twilio.tell(&recording);
            }
        });
    }

    /// Tells whoever asked to be told what state the recording is in now.
    fn tell(&self, recording: &Recording) {
        let Some(hook) = recording.hook.clone() else { return };
        if hook.events.iter().any(|event| event == recording.status) {
            let params = recording.params(self.url());
            let twilio = self.clone();
            self.spawn(async move {
                twilio.report(&hook.method, &hook.url, &params).await;
            });
        }
    }

    /// Ends what is still being recorded when the call is over.
    fn end_recordings(&self, call: &str) {
        let open = |(_, recording): (u64, &Recording)| {
            (recording.status == "in-progress").then(|| (recording.sid.clone(), recording.created))
        };
        let left: Vec<_> = self.state().recordings(Some(call)).into_iter().filter_map(open).collect();
        for (sid, begun) in left {
            let passed = clock::now().duration_since(begun).unsigned_abs();
            let heard = if self.inner.pace.speech { passed.min(speech::duration()) } else { speech::duration() };
            self.end_recording(&sid, heard);
        }
    }
}

/// Lets a call live until it is over, whichever way.
pub(super) async fn live(twilio: Twilio, sid: String) {
    let (reports, inbox) = mpsc::unbounded_channel();
    twilio.spawn(deliver_in_order(twilio.clone(), inbox));
    let reporter = Reporter { twilio: &twilio, sid: &sid, reports };
    let Some(call) = twilio.state().call(&sid).cloned() else { return };
    let limit = call.plan.time_limit;
    let limit = async {
        match limit.filter(|_| twilio.inner.pace.speech) {
            Some(limit) => {
                twilio.control.until(|| twilio.state().call(&sid)?.answered).await;
                tokio::time::sleep(limit).await;
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        status = natural_course(&reporter) => twilio.enter(&sid, status),
        () = limit => twilio.enter(&sid, "completed"),
        () = call.over.cancelled() => {}
    }
    twilio.end_recordings(&sid);
    reporter.report("completed");
}

/// What happens if nobody interferes; returns how it ends.
async fn natural_course(reporter: &Reporter<'_>) -> &'static str {
    let Reporter { twilio, sid, .. } = reporter;
    let Some(call) = twilio.state().call(sid).cloned() else { return "failed" };
    let pace = twilio.inner.pace;
    if !call.inbound {
        wait(pace.call_queued).await;
        reporter.report("initiated");
        twilio.reach(Stage::Ringing).await;
        twilio.enter(sid, "ringing");
        reporter.report("ringing");
        wait(pace.call_ringing).await;
        twilio.reach(Stage::InProgress).await;
        match call.outcome {
            Outcome::Busy => return "busy",
            Outcome::NoAnswer => return "no-answer",
            Outcome::Failed => return "failed",
            Outcome::Answered | Outcome::HangsUp | Outcome::Silent | Outcome::TooShort => {}
        }
        twilio.enter(sid, "in-progress");
        reporter.report("answered");
        if let Some((channels, hook)) = call.plan.record.clone() {
            twilio.begin_recording(sid, "OutboundAPI", channels, hook);
        }
    }
    let end = twilio.converse(&call).await;
    twilio.reach(Stage::Completed).await;
    end
}

/// Reports what becomes of a call to whoever asked for it.
struct Reporter<'a> {
    twilio: &'a Twilio,
    sid: &'a str,
    reports: mpsc::UnboundedSender<(Method, String, Vec<Param>)>,
}

impl Reporter<'_> {
    fn report(&self, event: &str) {
        let report = self.twilio.change(|state| {
            let mut of_call = state.recordings(Some(self.sid)).into_iter().map(|(_, one)| one);
            let recording = of_call.find(|one| one.source == "OutboundAPI" && event == "completed").cloned();
            let call = state.call_mut(self.sid)?;
            let hook = call.plan.status.clone().filter(|hook| hook.events.iter().any(|one| one == event))?;
            let mut params = report_params(call, event);
            call.reports += 1;
            if let Some(recording) = recording {
                let all = recording.params(self.twilio.url()).into_iter();
                params.extend(all.filter(|(name, _)| matches!(name.as_str(), "RecordingUrl" | "RecordingSid")));
                params.push(("RecordingDuration".to_owned(), recording.seconds()));
            }
            Some((hook.method, hook.url, params))
        });
        if let Some(report) = report {
            // Nobody receives when the runtime is being shut down.
            let _ = self.reports.send(report);
        }
    }
}

fn report_params(call: &Call, event: &str) -> Vec<Param> {
    let mut params = call.params();
    let mut add = |name: &str, value: String| params.push((name.to_owned(), value));
    add("CallbackSource", "call-progress-events".to_owned());
    add("SequenceNumber", call.reports.to_string());
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
        // The one event whose word is not the call's status.
        params.iter_mut().filter(|(name, _)| name == "CallStatus").for_each(|(_, value)| *value = event.to_owned());
    }
    params
}

/// The reports of one call go out one after the other, and the call does not wait for them.
async fn deliver_in_order(twilio: Twilio, mut inbox: mpsc::UnboundedReceiver<(Method, String, Vec<Param>)>) {
    let mut kept = Vec::new();
    while let Some((method, url, params)) = inbox.recv().await {
        if twilio.control.callbacks() == Callbacks::Shuffled {
            kept.push((method, url, params));
        } else {
            twilio.report(&method, &url, &params).await;
        }
    }
    twilio.control.shuffle(&mut kept);
    for (method, url, params) in kept {
        twilio.report(&method, &url, &params).await;
    }
}
