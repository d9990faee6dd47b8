//! The page of one call.

use std::borrow::Cow;

use askama::Template;

use super::labels::{self, SettingUp};
use super::pages::Notices;
use super::view::{CallDetails, RecordingView, SpeakerView, TranscriptView};
use crate::model::call::{CallState, Direction, FormNonce, Kind};
use crate::model::contact::CONTACTS;
use crate::model::dollars::Dollars;
use crate::model::keyterms::Keyterms;
use crate::model::price::Price;
use crate::model::standing::{Mark, Progress, Step};

#[derive(Template)]
#[template(path = "call.html", config = "src/web/pages/askama.toml")]
pub(super) struct CallPage {
    pub(super) notices: Notices,
    pub(super) sentence: String,
    /// The address of the list that it was opened from.
    pub(super) back: String,
    /// Whether a dialed address led to this existing call instead of a new one.
    pub(super) was_there: bool,
    pub(super) call: CallDetails,
    /// The operator's phone that *Call again* or *Call back* rings first, for a conversation.
    pub(super) with: Option<String>,
    /// The nonce of that form.
    pub(super) nonce: FormNonce,
    /// Seconds until a browser without scripts reloads.
    pub(super) refresh: u64,
}

impl RecordingView {
    /// Its SID, if it can be played here.
    pub(super) fn heard_at(&self) -> Option<&str> {
        self.audio.is_some().then_some(self.sid.as_str())
    }
}

impl SpeakerView {
    /// Returns where the speaker is heard.
    pub(super) fn place(&self) -> String {
        match (self.channel, self.role) {
            (Some(channel), Some(role)) => format!("Channel {channel} ({role})"),
            (Some(channel), None) => format!("Channel {channel}"),
            (None, _) => format!("Speaker {}", self.label),
        }
    }
}

impl CallDetails {
    /// Whether more will happen automatically.
    fn is_following(&self) -> bool {
        self.waits_for.is_some()
    }

    /// Returns the number that *Call again* or *Call back* dials: the other one of a finished call of this program.
    fn again(&self) -> Option<&str> {
        let is_kept = self.progress != Progress::Deleting && self.call.direction != Direction::Unknown;
        self.call.nameable().filter(|_| is_kept && self.call.ended_at.is_some())
    }

    /// Whether the other one has called, so that *Call again* would be the wrong word.
    fn is_inbound(&self) -> bool {
        self.call.direction == Direction::Inbound
    }

    /// Whether a retry makes a transcript that was not made automatically.
    fn is_untranscribed(&self) -> bool {
        self.progress == Progress::NotTranscribed
    }

    /// Whether only another call would help.
    fn needs_new_call(&self) -> bool {
        self.progress == Progress::Failed && !self.can_retry && !self.is_inbound() && self.again().is_some()
    }

    fn step_name(&self, step: &Step) -> &'static str {
        if step.mark == Mark::Failed && self.unconnected.is_some() {
            return "Not connected";
        }
        labels::step(step, self.call.direction == Direction::Outbound, self.call.known_state)
    }

    /// Returns what *Retry* would begin.
    fn retry(&self) -> &'static str {
        if self.progress == Progress::Deleting {
            "Retry deletion"
        } else if self.is_untranscribed() {
            "Transcribe"
        } else if self.transcripts.iter().any(|transcript| transcript.may_retry) {
            "Retry transcript"
        } else {
            "Ask Twilio again"
        }
    }

    /// Returns how far a conversation is in which nobody talks yet. It was dialed here, so the operator's phone is first.
    fn setting_up(&self) -> Option<SettingUp> {
        if self.call.operator.is_none() || self.progress != Progress::Calling {
            return None;
        }
        let other = self.legs.get(1..).and_then(<[_]>::last).map(|leg| leg.known_state);
        match (self.call.known_state?, other) {
            (CallState::Ringing, _) => Some(SettingUp::OperatorRings),
            (CallState::InProgress, None) => Some(SettingUp::Key),
            (CallState::InProgress, Some(CallState::InProgress)) => None,
            (CallState::InProgress, Some(other)) => (!other.is_over()).then_some(SettingUp::PartyRings),
            _ => None,
        }
    }

    fn headline(&self) -> &'static str {
        match (self.unconnected, self.setting_up()) {
            (Some(unconnected), _) => labels::unconnected_headline(unconnected),
            (None, Some(setting_up)) => labels::setting_up(setting_up).0,
            (None, None) => labels::headline(self.call.known_state, self.progress),
        }
    }

    fn waits_for(&self) -> Cow<'static, str> {
        if let Some(setting_up) = self.setting_up() {
            return labels::setting_up(setting_up).1.into();
        }
        if self.call.is_upload() && self.waits_for.is_none() {
            return labels::outcome_of_upload(self.progress).into();
        }
        if let (true, Some(budget)) = (self.is_untranscribed(), self.over_budget) {
            return labels::over_budget(budget).into();
        }
        let sentence = match (self.waits_for, self.unconnected) {
            (Some(waits_for), _) => labels::waits_for(waits_for),
            (None, Some(unconnected)) => labels::unconnected(unconnected),
            (None, None) => labels::outcome(self.call.known_state, self.progress),
        };
        sentence.into()
    }

    /// Returns what is known to be paid for the call.
    fn cost(&self) -> Option<String> {
        let is_any = |amount: &Dollars| *amount > Dollars::default();
        let transcripts = if self.transcripts.len() == 1 { "transcript" } else { "transcripts" };
        let price = self.call.price.known.as_ref();
        let (of_transcripts, of_call) = (self.transcripts_cost.filter(is_any), price.and_then(Price::in_dollars));
        let elsewhere = price.filter(|price| price.in_dollars().is_none());
        if self.progress == Progress::Deleting {
            return None;
        }
        let in_dollars = match (of_transcripts, of_call.filter(is_any)) {
            (Some(cost), Some(call)) => Some(format!("{} ({transcripts} {cost}, call {call})", cost + call)),
            (Some(cost), None) => Some(format!("{cost} ({transcripts})")),
            (None, Some(call)) => Some(format!("{call} (call)")),
            (None, None) => None,
        };
        let parts = in_dollars.into_iter().chain(elsewhere.map(|price| format!("{price} (call)")));
        let parts: Vec<String> = parts.collect();
        (!parts.is_empty()).then(|| format!("Cost: {}", parts.join(" and ")))
    }

    /// Why the call is in its state, unless the page says it already.
    fn reason_below(&self) -> Option<&str> {
        let is_of_transcript = |reason: &str| self.transcripts.iter().any(|one| one.reason.as_deref() == Some(reason));
        self.call.reason.as_deref().filter(|reason| *reason != self.waits_for() && !is_of_transcript(reason))
    }

    /// Whether the transcript can be read, so that it comes first.
    fn is_done(&self) -> bool {
        self.progress == Progress::Done
    }

    fn is_conversation(&self) -> bool {
        self.call.kind == Kind::Conversation.as_str()
    }

    /// Returns what its speakers are called.
    fn called(&self) -> String {
        self.speakers.iter().map(|speaker| speaker.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Returns what the page follows: the ids of the call and its transcripts, and the contacts, whose names it shows.
    fn about(&self) -> String {
        let transcripts = self.transcripts.iter().map(|transcript| transcript.order.as_str());
        let own = self.call.id.as_deref().into_iter().chain(transcripts);
        own.chain([CONTACTS]).collect::<Vec<_>>().join(" ")
    }

    /// Whether the page says that there is no recording. While a call is being deleted it does not.
    fn has_no_recording(&self) -> bool {
        self.recordings.is_empty() && self.progress != Progress::Deleting
    }

    /// Returns the contact's key terms that the newest transcript of a recording was made without, so that a form offers
    /// them. No request orders a transcript again only because its contact has changed.
    fn new_keyterms(&self, recording: &RecordingView) -> String {
        let newest = self.transcripts_of(recording).last().filter(|newest| newest.known_state.is_final());
        let Some(newest) = newest else { return String::new() };
        let left_out = newest.submitted.keyterms_left_out.as_deref().unwrap_or_default();
        let had = Keyterms::from_terms(newest.keyterms.iter().chain(left_out));
        self.keyterms_of_contact.without(&had).as_slice().join(", ")
    }

    fn transcripts_of<'s>(&'s self, recording: &'s RecordingView) -> impl Iterator<Item = &'s TranscriptView> {
        self.transcripts.iter().filter(|transcript| transcript.recording_sid.as_deref() == Some(&recording.sid))
    }
}
