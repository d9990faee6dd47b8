//! The JSON shapes of calls, their recordings and transcripts, and of search hits. Templates render the same shapes.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::labels;
use super::reading::{Paragraph, accept, called, paragraphs};
use super::recordings;
use crate::accuracy::marks::UNKNOWN;
use crate::clients::archive::Archive;
use crate::clients::assemblyai::Reply;
use crate::clients::json::Json;
use crate::clients::twilio;
use crate::context::Shared;
use crate::export;
use crate::model::call::{Call, CallSid, CallState, Direction, Kind};
use crate::model::checked::Checked;
use crate::model::dollars::Dollars;
use crate::model::history::{Event, Happened};
use crate::model::job::JobState;
use crate::model::keyterms::Keyterms;
use crate::model::leg::{Leg, Role};
use crate::model::phone::PhoneNumber;
use crate::model::price::Price;
use crate::model::recording::{Recording, RecordingState};
use crate::model::search::{Piece, Query};
use crate::model::speakers::{Speakers, label};
use crate::model::standing::{Facts, Progress, Step, Unconnected, WaitsFor};
use crate::model::transcript::{OrderId, Transcript, TranscriptState, other_models};
use crate::pipeline::lookup;
use crate::store::{self, Archived, CallSummary, Conn, Hit, KeptAudio, Named, Voice};

/// A call's own facts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CallView {
    pub(super) id: Option<String>,
    pub(super) sid: Option<String>,
    pub(super) direction: Direction,
    /// `message`, `conversation` or `upload`. Of an item, `call` or `upload`: then `call_kind` says which of the others.
    pub(super) kind: &'static str,
    /// The operator's phone of a conversation that was dialed here.
    #[serde(skip)]
    pub(super) operator: Option<String>,
    pub(super) to: Option<String>,
    pub(super) from: Option<String>,
    /// Who is at the other end, if its number has a name.
    pub(super) contact: Option<NamedNumber>,
    /// What the operator files the call under.
    pub(super) tag: Option<String>,
    /// What an upload is called, and its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file_name: Option<String>,
    /// The import that has brought it here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) import: Option<String>,
    /// Twilio's status once Twilio has the call; before that `dialing`, `unknown` or `lost`.
    pub(super) state: String,
    /// The same, unless it is a new word of Twilio's.
    #[serde(skip)]
    pub(super) known_state: Option<CallState>,
    pub(super) reason: Option<String>,
    pub(super) code: Option<i64>,
    pub(super) is_deleting: bool,
    pub(super) created_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
    /// Whether the current transcript of each of its recordings is checked by ear.
    pub(super) checked: bool,
    /// What Twilio charges for it with its legs and recordings, as far as Twilio has said so.
    #[serde(flatten)]
    pub(super) price: PriceView,
}

/// A price in the currency of the Twilio account.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct PriceView {
    price: Option<f64>,
    price_unit: Option<String>,
    #[serde(skip)]
    pub(super) known: Option<Price>,
}

impl PriceView {
    fn of(known: Option<&Price>) -> Self {
        let price_unit = known.map(|price| price.unit.clone());
        Self { price: known.map(Price::amount), price_unit, known: known.cloned() }
    }
}

/// The number of a contact and its name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NamedNumber {
    pub(super) number: String,
    pub(super) name: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CallRow {
    #[serde(flatten)]
    pub(super) call: CallView,
    pub(super) progress: Progress,
    #[serde(skip)]
    pub(super) unconnected: Option<Unconnected>,
    /// The total length of its recordings.
    pub(super) duration_seconds: Option<i64>,
    /// The beginning of its transcript.
    pub(super) words: Option<String>,
    /// What is known to be paid for it and its transcripts.
    pub(super) cost_usd: Option<Dollars>,
}

/// A call with its history, recordings and transcripts.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CallDetails {
    #[serde(flatten)]
    pub(super) call: CallView,
    pub(super) progress: Progress,
    #[serde(skip)]
    pub(super) unconnected: Option<Unconnected>,
    /// The call's own leg, and those that it dialed.
    pub(super) legs: Vec<LegView>,
    /// What is known to be paid for it and its transcripts.
    pub(super) cost_usd: Option<Dollars>,
    #[serde(skip)]
    pub(super) transcripts_cost: Option<Dollars>,
    /// The budget because of which it was not transcribed.
    #[serde(skip)]
    pub(super) over_budget: Option<Dollars>,
    /// Whether `POST /calls/<sid>/retry` would begin something.
    pub(super) can_retry: bool,
    /// Whether `POST /calls/<sid>/delete` would begin something.
    pub(super) can_delete: bool,
    pub(super) keyterms: Vec<String>,
    /// Those that the contact adds to orders from now on.
    #[serde(skip)]
    pub(super) keyterms_of_contact: Keyterms,
    pub(super) timeline: Vec<EventView>,
    pub(super) recordings: Vec<RecordingView>,
    pub(super) transcripts: Vec<TranscriptView>,
    pub(super) speakers: Vec<SpeakerView>,
    /// What they are called, for pages.
    #[serde(skip)]
    pub(super) naming: Speakers,
    /// The newest row of the history when this was read.
    #[serde(skip)]
    pub(super) since: i64,
    #[serde(skip)]
    pub(super) steps: [Step; 7],
    /// `None` if nothing more happens automatically.
    #[serde(skip)]
    pub(super) waits_for: Option<WaitsFor>,
}

/// Somebody who speaks in a call's recordings, on a channel or as AssemblyAI's speaker.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct SpeakerView {
    pub(super) channel: Option<i64>,
    /// If there may be several on the channel, or no channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker: Option<String>,
    pub(super) role: Option<&'static str>,
    pub(super) name: String,
    /// Under which somebody may name it.
    #[serde(skip)]
    pub(super) label: String,
    /// The name that somebody gave it, or nothing.
    #[serde(skip)]
    pub(super) given: String,
}

/// One of the connections that a call consists of.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LegView {
    pub(super) sid: Option<String>,
    pub(super) role: &'static str,
    pub(super) number: Option<String>,
    #[schema(value_type = CallState, inline)]
    state: &'static str,
    answered_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    reason: Option<String>,
    #[serde(skip)]
    pub(super) known_state: CallState,
}

/// A new state of the call, of a recording, or of a transcript.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventView {
    pub(super) at: Option<Timestamp>,
    pub(super) kind: &'static str,
    pub(super) subject: String,
    pub(super) state: &'static str,
    pub(super) reason: Option<String>,
    /// Who asked for it, if somebody did: `token` with its name, `this computer`, `operator token` or `browser`.
    pub(super) by: Option<String>,
    #[serde(skip)]
    pub(super) what: Happened,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecordingView {
    pub(super) sid: String,
    pub(super) state: String,
    pub(super) duration_seconds: Option<i64>,
    channels: Option<i64>,
    pub(super) source: Option<String>,
    error_code: Option<i64>,
    /// Why there is no audio.
    pub(super) reason: Option<String>,
    /// Its address at Twilio, or the URL of an upload that was no file.
    pub(super) url: Option<String>,
    /// Its address here, which needs none of Twilio's credentials. `None` for an upload, whose audio nobody gives out.
    pub(super) audio: Option<String>,
    /// What the archive keeps of it. `None` while it keeps nothing.
    pub(super) archived: Option<ArchivedView>,
    /// Why the archive keeps nothing of it, if that was tried.
    pub(super) not_archived: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ArchivedView {
    /// The archive and the key of the audio in it.
    pub(super) url: String,
    bytes: i64,
    pub(super) sha256: String,
    at: Timestamp,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TranscriptView {
    /// AssemblyAI's id, for `/transcript/<id>`.
    pub(super) id: Option<String>,
    pub(super) recording_sid: Option<String>,
    #[schema(value_type = TranscriptState, inline)]
    pub(super) state: &'static str,
    #[serde(skip)]
    pub(super) known_state: TranscriptState,
    /// Why it failed, or what it is waiting for.
    pub(super) reason: Option<String>,
    pub(super) text: Option<String>,
    pub(super) created_at: Option<Timestamp>,
    /// `None` if it is not known.
    pub(super) cost_usd: Option<Dollars>,
    #[serde(flatten)]
    pub(super) submitted: SubmissionView,
    #[serde(skip)]
    pub(super) order: OrderId,
    /// Whether a retry of its call starts a new attempt at it.
    #[serde(skip)]
    pub(super) may_retry: bool,
    /// The key terms it was ordered with, for pages.
    #[serde(skip)]
    pub(super) keyterms: Vec<String>,
    /// How often it was corrected.
    pub(super) version: i64,
    #[serde(flatten)]
    pub(super) check: CheckView,
    /// The transcript of the same recording before it, to be compared.
    #[serde(skip)]
    pub(super) before: Option<String>,
    /// Its words, for pages, and the confidence below which they are marked.
    #[serde(skip)]
    pub(super) paragraphs: Vec<Paragraph>,
    #[serde(skip)]
    pub(super) threshold: f64,
    /// How many bytes of JSON its words are in, at most.
    #[serde(skip)]
    pub(super) json_bytes: usize,
}

/// What of a transcript is checked by ear.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct CheckView {
    /// Whether all of it is.
    pub(super) checked: bool,
    pub(super) checked_at: Option<Timestamp>,
    pub(super) checked_by: Option<String>,
    /// How often somebody marked a stretch as checked or took that back, for pages.
    #[serde(skip)]
    pub(super) times: usize,
    /// Whether a stretch is checked, for pages.
    #[serde(skip)]
    pub(super) has_parts: bool,
}

/// What an order was submitted with, and which model made the transcript.
/// For serde, which passes a reference.
#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_none(count: &i64) -> bool {
    *count == 0
}

#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct SubmissionView {
    /// `None` until the order is submitted.
    pub(super) speech_models_sent: Option<Vec<String>>,
    pub(super) speech_model_used: Option<String>,
    /// Why the models are not those that were asked for.
    pub(super) speech_models_reason: Option<String>,
    /// `None` until the order is submitted.
    pub(super) keyterms_sent: Option<Vec<String>>,
    pub(super) keyterms_left_out: Option<Vec<String>>,
    /// How many more terms of the vocabulary were left out.
    #[serde(skip_serializing_if = "is_none")]
    pub(super) keyterms_left_out_more: i64,
    /// What AssemblyAI had to spell as terms of the vocabulary.
    pub(super) custom_spelling_sent: Vec<SpellingView>,
    /// Whether the two channels of the audio differ. `None` if it has not two, or was not seen here.
    pub(super) channels_differ: Option<bool>,
    /// Whether two equal channels were transcribed as one.
    #[serde(skip)]
    pub(super) is_made_one: bool,
}

/// Something that AssemblyAI had to spell otherwise, as its `custom_spelling` has it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct SpellingView {
    pub(super) from: Vec<String>,
    pub(super) to: String,
}

impl SpellingView {
    fn all(spellings: &[(String, String)]) -> Vec<Self> {
        spellings.iter().map(|(from, to)| Self { from: vec![from.clone()], to: to.clone() }).collect()
    }
}

impl SubmissionView {
    /// The first key terms that were left out, and how many others there are, for people.
    pub(super) fn some_left_out(&self, left_out: &[String]) -> String {
        const SHOWN: usize = 50;
        let shown = left_out.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        match (left_out.len() - left_out.len().min(SHOWN)) as i64 + self.keyterms_left_out_more {
            0 => shown,
            more => format!("{shown}, and {more} more"),
        }
    }
}

/// A page of `/calls`.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct CallList {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) calls: Option<Vec<CallRow>>,
    /// In place of the calls, if `q` searches transcripts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hits: Option<Vec<HitView>>,
    /// The contacts whose names `q` has found, beside the hits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) contacts: Option<Vec<NamedNumber>>,
    /// The address of the next page, if there is one.
    pub(super) next: Option<String>,
    /// Where this page ends, if there is another.
    #[serde(skip)]
    pub(super) cursor: Option<String>,
    /// The newest row of the history when this was read.
    #[serde(skip)]
    pub(super) since: i64,
}

/// A passage of a transcript that matches a search.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HitView {
    /// `None` for an upload, and for a transcript whose call is not known yet.
    pub(super) call: Option<CallView>,
    /// The call or the upload, with its summary.
    #[serde(skip)]
    pub(super) row: Option<CallRow>,
    pub(super) recording_sid: Option<String>,
    /// AssemblyAI's id.
    pub(super) transcript_id: Option<String>,
    pub(super) snippet: Vec<Piece>,
    /// When the first match is said, in milliseconds from the start of the audio.
    pub(super) at_ms: Option<i64>,
    /// The recording's address, with that moment as its fragment: browsers start playing there.
    pub(super) audio: Option<String>,
    /// Whether the transcript is checked by ear.
    pub(super) checked: bool,
}

/// The address of the list of the calls with a number.
pub(super) fn calls_with(number: &str) -> String {
    format!("/calls?number={}", in_query(number))
}

/// Returns a number as a query has it, where a `+` would be a space.
pub(super) fn in_query(number: &str) -> String {
    number.replace('+', "%2B")
}

impl NamedNumber {
    fn of(call: &Call) -> Option<Self> {
        Some(Self { number: call.party()?.to_owned(), name: call.contact.as_ref()?.to_string() })
    }

    /// Each contact that any phrase of a search has found.
    pub(super) fn of_all(named: Vec<Named>) -> Vec<Self> {
        let all: BTreeMap<String, String> = named.into_iter().flat_map(|named| named.contacts).collect();
        all.into_iter().map(|(number, name)| Self { number, name }).collect()
    }

    /// The address of the list of its calls.
    pub(super) fn calls(&self) -> String {
        calls_with(&self.number)
    }
}

impl CallView {
    pub(super) fn of(call: &Call) -> Self {
        Self {
            id: Some(call.id.to_string()),
            sid: call.sid.as_ref().map(CallSid::to_string),
            direction: call.direction,
            kind: call.kind.as_str(),
            operator: call.operator.clone(),
            to: call.to.clone(),
            from: call.from.clone(),
            contact: NamedNumber::of(call),
            tag: call.tag.as_ref().map(ToString::to_string),
            title: call.title.as_ref().map(ToString::to_string),
            file_name: call.file_name.as_ref().map(ToString::to_string),
            import: call.import.as_ref().map(ToString::to_string),
            state: call.state.as_str().to_owned(),
            known_state: Some(call.state),
            reason: call.reason.clone(),
            code: call.code,
            is_deleting: call.deletion.is_some(),
            created_at: Timestamp::from_millisecond(call.created_at).ok(),
            ended_at: call.ended_at.and_then(|at| Timestamp::from_millisecond(at).ok()),
            checked: call.checked_at.is_some(),
            price: PriceView::of(call.price.as_ref()),
        }
    }

    pub(super) fn of_twilio(call: twilio::Call) -> Self {
        Self {
            id: None,
            ended_at: call.ended(),
            created_at: call.created(),
            sid: Some(call.sid),
            direction: Direction::of_twilio(call.direction.as_deref().unwrap_or_default()),
            kind: Kind::Message.as_str(),
            operator: None,
            to: call.to,
            from: call.from,
            contact: None,
            tag: None,
            title: None,
            file_name: None,
            import: None,
            known_state: CallState::of_twilio(&call.status),
            state: call.status,
            reason: None,
            code: None,
            is_deleting: false,
            checked: false,
            price: PriceView::default(),
        }
    }

    /// Says why it has no transcript, if Twilio has not. `failure` is why its transcript failed.
    pub(super) fn explained(
        mut self,
        progress: Progress,
        unconnected: Option<Unconnected>,
        over_budget: Option<Dollars>,
        failure: Option<String>,
    ) -> Self {
        let why = || match (progress, unconnected, over_budget) {
            (_, Some(unconnected), _) => Some(labels::unconnected(unconnected).to_owned()),
            (Progress::NotTranscribed, None, Some(budget)) => Some(labels::over_budget(budget)),
            (Progress::Failed | Progress::NotTranscribed, ..) => Some(match self.is_upload() {
                true => labels::outcome_of_upload(progress).to_owned(),
                false => labels::outcome(self.known_state, progress).to_owned(),
            }),
            _ => None,
        };
        let failure = failure.filter(|_| progress == Progress::Failed);
        self.reason = self.reason.clone().or(failure).or_else(why);
        self
    }

    /// Whether it is no call, but audio that a client sent.
    pub(super) fn is_upload(&self) -> bool {
        self.kind == Kind::Upload.as_str()
    }

    /// What an upload is called on pages.
    pub(super) fn title(&self) -> &str {
        self.title.as_deref().or(self.file_name.as_deref()).unwrap_or("Untitled upload")
    }

    /// The name of its file, if the title does not tell it.
    pub(super) fn other_file_name(&self) -> Option<&str> {
        let (title, file) = (self.title.as_deref()?, self.file_name.as_deref()?);
        let is_told = file == title || file.rsplit_once('.').is_some_and(|(stem, _)| stem == title);
        (!is_told).then_some(file)
    }

    /// What rows say that it is, unless it is a call that was dialed for a message.
    pub(super) fn sort(&self) -> Option<&'static str> {
        labels::sort(Kind::named(self.kind)?, self.direction, self.import.is_some())
    }

    /// The address of its page.
    pub(super) fn path(&self) -> String {
        format!("/{}/{}", if self.is_upload() { "items" } else { "calls" }, self.name())
    }

    /// The call's name in addresses: its SID, or its id as long as it has none.
    pub(super) fn name(&self) -> &str {
        self.sid.as_deref().or(self.id.as_deref()).unwrap_or_default()
    }

    /// Returns the first line of its page: the tutorial's sentence, for a call that was dialed here.
    pub(super) fn sentence(&self) -> String {
        let (to, from) = (number(self.to.as_ref()), number(self.from.as_ref()));
        if self.is_upload() {
            return self.file_name.as_ref().map_or_else(|| "Upload".to_owned(), |name| format!("Upload of {name}"));
        }
        let is_imported = self.import.is_some();
        match (self.direction == Direction::Outbound, &self.sid) {
            (true, Some(sid)) if is_imported => format!("call to {to}, imported from Twilio. call SID is: {sid}"),
            (false, Some(sid)) if is_imported => format!("call from {from}, imported from Twilio. call SID is: {sid}"),
            (true, Some(sid)) => format!("dialing {to}. call SID is: {sid}"),
            (true, None) => format!("dialing {to}. Twilio has not assigned a call SID"),
            (false, sid) => format!("call from {from}. call SID is: {}", sid.as_deref().unwrap_or("–")),
        }
    }

    /// Whether our own number has called.
    pub(super) fn is_outbound(&self) -> bool {
        self.direction == Direction::Outbound
    }

    /// Returns the caller's name, or number.
    pub(super) fn caller(&self) -> &str {
        self.named(self.direction != Direction::Outbound, self.from.as_ref())
    }

    /// Returns the name of who was called, or the number.
    pub(super) fn callee(&self) -> &str {
        self.named(self.direction == Direction::Outbound, self.to.as_ref())
    }

    /// Returns the name at the other end, or the number; the title of an upload.
    pub(super) fn whom(&self) -> &str {
        if self.is_upload() {
            return self.title();
        }
        self.contact.as_ref().map_or_else(|| self.party(), |contact| &contact.name)
    }

    fn named<'s>(&'s self, is_party: bool, of: Option<&'s String>) -> &'s str {
        self.contact.as_ref().filter(|_| is_party).map_or_else(|| number(of), |contact| &contact.name)
    }

    /// The number at the other end, if it is a phone's, so that it can be named.
    pub(super) fn nameable(&self) -> Option<&str> {
        self.id.as_ref()?;
        self.number().filter(|party| party.parse::<PhoneNumber>().is_ok())
    }

    /// The number at the other end.
    pub(super) fn party(&self) -> &str {
        self.number().unwrap_or(UNKNOWN_NUMBER)
    }

    /// The number at the other end, if it is not withheld. An upload has none.
    pub(super) fn number(&self) -> Option<&str> {
        self.direction.party(self.to.as_deref(), self.from.as_deref())
    }
}

const UNKNOWN_NUMBER: &str = "unknown number";

/// Returns what pages show for a number that may be withheld.
pub(super) fn number(number: Option<&String>) -> &str {
    number.map_or(UNKNOWN_NUMBER, String::as_str)
}

impl CallRow {
    /// `failure` is why its transcript failed.
    pub(super) fn of(call: &Call, summed: CallSummary, failure: Option<String>) -> Self {
        let CallSummary { summary, seconds, words, transcripts_cost } = summed;
        let cost_usd = Price::with(transcripts_cost, call.price.as_ref());
        let words = words.filter(|_| call.deletion.is_none());
        let (progress, unconnected) = (Progress::of(call, &summary), Unconnected::of(call, &summary));
        let call = CallView::of(call).explained(progress, unconnected, summary.over_budget, failure);
        Self { progress, unconnected, duration_seconds: seconds, words, cost_usd, call }
    }
}

impl LegView {
    /// The legs of a call, its own first.
    pub(super) fn of(Facts { call, legs, .. }: &Facts, history: &[Event]) -> Vec<Self> {
        let time = |at: i64| Timestamp::from_millisecond(at).ok();
        let answered = history.iter().find(|event| event.what == Happened::Call(CallState::InProgress));
        let role = if call.operator.is_some() { Role::Operator } else { Role::Party };
        let number = call.operator.as_deref().or_else(|| call.party());
        let own = Self {
            sid: call.sid.as_ref().map(CallSid::to_string),
            role: role.as_str(),
            number: number.map(str::to_owned),
            state: call.state.as_str(),
            answered_at: answered.and_then(|event| time(event.at)),
            ended_at: call.ended_at.and_then(time),
            reason: call.reason.clone(),
            known_state: call.state,
        };
        let dialed = |leg: &Leg| Self {
            sid: Some(leg.sid.to_string()),
            role: Role::of_dialed(call.direction).as_str(),
            number: leg.number.clone(),
            state: leg.state.as_str(),
            answered_at: leg.answered_at.and_then(time),
            ended_at: leg.ended_at.and_then(time),
            reason: leg.reason().map(str::to_owned),
            known_state: leg.state,
        };
        std::iter::once(own).chain(legs.iter().map(dialed)).collect()
    }

    /// Returns what pages say of it.
    pub(super) fn label(&self) -> String {
        let state = labels::leg(self.known_state);
        self.reason.as_ref().map_or_else(|| state.to_owned(), |reason| format!("{state} ({reason})"))
    }
}

impl EventView {
    pub(super) fn of(call: &Call, Event { at, what, reason, by }: Event) -> Self {
        let (kind, subject, state) = (what.kind(), what.subject(&call.id).to_owned(), what.state());
        Self { at: Timestamp::from_millisecond(at).ok(), kind, subject, state, reason, by, what }
    }
}

impl SpeakerView {
    /// Returns `None` for a voice that was not told apart from others.
    pub(super) fn of(speakers: &Speakers, Voice { channel, speaker }: &Voice) -> Option<Self> {
        let (speaker, channel) = (speaker.as_deref(), channel.as_deref());
        let label = label(speaker, channel)?;
        let word = export::Word { text: "", start: 0, end: 0, speaker, channel };
        Some(Self {
            channel: channel.and_then(|channel| channel.parse().ok()),
            speaker: speaker.filter(|speaker| Some(*speaker) != channel).map(str::to_owned),
            role: speakers.role(channel).map(Role::as_str),
            name: called(speakers, &word)?,
            label: label.to_owned(),
            given: speakers.given(label).unwrap_or_default().to_owned(),
        })
    }
}

impl RecordingView {
    pub(super) fn of(context: &Shared, headers: &HeaderMap, recording: &Recording) -> Self {
        let Recording { sid, state, duration_seconds, channels, source, error_code, .. } = recording;
        let reason = (state.rank() >= RecordingState::Completed.rank() && *state != RecordingState::Completed)
            .then(|| lookup::lack(sid.as_str(), state.as_str(), *error_code));
        Self {
            url: match recording.is_upload() {
                true => recording.url().map(str::to_owned),
                false => Some(context.twilio.media_url(sid.as_str())),
            },
            audio: (!recording.is_upload()).then(|| recordings::address(context, headers, sid.as_str())),
            sid: sid.to_string(),
            state: state.as_str().to_owned(),
            duration_seconds: *duration_seconds,
            channels: *channels,
            source: source.clone(),
            error_code: *error_code,
            reason,
            archived: None,
            not_archived: None,
        }
    }

    /// Adds what the archive of this name keeps of it, and how the job stands that copies it there.
    pub(super) fn add_archived(&mut self, archive: Option<&str>, copies: &[Archived], job: Option<JobState>) {
        let of = |copy: &&Archived| copy.recording.as_str() == self.sid && Some(copy.archive.as_str()) == archive;
        self.archived = copies.iter().find(of).and_then(ArchivedView::of);
        self.not_archived = job.and_then(|job| job.reason).filter(|_| self.archived.is_none());
    }

    pub(super) fn of_twilio(context: &Shared, headers: &HeaderMap, recorded: &twilio::Recording) -> Self {
        Self {
            audio: Some(recordings::address(context, headers, &recorded.sid)),
            sid: recorded.sid.clone(),
            state: recorded.status.clone(),
            duration_seconds: recorded.seconds().and_then(|seconds| seconds.try_into().ok()),
            channels: recorded.channels.map(i64::from),
            source: recorded.source.clone(),
            error_code: recorded.error_code,
            reason: (!recorded.is_complete())
                .then(|| lookup::lack(&recorded.sid, &recorded.status, recorded.error_code)),
            url: Some(context.twilio.audio_url(recorded)),
            archived: None,
            not_archived: None,
        }
    }
}

impl ArchivedView {
    fn of(copy: &Archived) -> Option<Self> {
        let KeptAudio { bytes, sha256, archived_at } = copy.kept.as_ref()?;
        let url = Archive::url_of(&copy.archive, &copy.key);
        let at = Timestamp::from_millisecond(*archived_at).ok()?;
        Some(Self { url, bytes: *bytes, sha256: sha256.clone(), at })
    }
}

impl TranscriptView {
    pub(super) fn of(facts: &Facts, transcript: &Transcript, job: Option<JobState>) -> Self {
        let waits_for = job.filter(JobState::is_open).and_then(|job| job.reason);
        Self {
            id: transcript.transcript_id.as_ref().map(|id| id.to_string()),
            recording_sid: transcript.recording.as_ref().map(|sid| sid.to_string()),
            state: transcript.state.as_str(),
            known_state: transcript.state,
            reason: transcript.reason.clone().or(waits_for),
            text: transcript.text.clone(),
            order: transcript.id.clone(),
            submitted: SubmissionView::of(transcript),
            may_retry: facts.may_retry_transcript(transcript),
            keyterms: ordered_keyterms(transcript),
            version: transcript.version,
            check: CheckView::of(transcript),
            before: None,
            paragraphs: Vec::new(),
            threshold: UNKNOWN,
            json_bytes: 0,
            created_at: Timestamp::from_millisecond(transcript.created_at).ok(),
            cost_usd: transcript.cost,
        }
    }

    /// Reads its words, and which of them are checked, for its page.
    pub(super) async fn read_words(
        &mut self,
        conn: &mut Conn,
        query: &Query,
        speakers: &Speakers,
    ) -> Result<(), store::Error> {
        let mut words = conn.words_of(&self.order).await?;
        let checks = conn.checks_of(&self.order).await?;
        let checked = Checked::of(&checks);
        accept(&mut words, &checked);
        if let Some(model) = &self.submitted.speech_model_used {
            self.threshold = conn.confidences_of(model).await?.threshold();
        }
        self.paragraphs = paragraphs(words, query, speakers, self.threshold);
        (self.check.times, self.check.has_parts) = (checks.len(), !checked.stretches().is_empty());
        Ok(())
    }

    /// Returns how often it contains what a search looked for.
    pub(super) fn hits(&self) -> usize {
        self.paragraphs.iter().map(Paragraph::hits).sum()
    }

    /// Whether two voices or more with names speak in it.
    pub(super) fn is_dialog(&self) -> bool {
        let mut named = self.paragraphs.iter().filter(|paragraph| paragraph.speaker.is_some());
        let first = named.next().map(|paragraph| paragraph.voice);
        named.any(|paragraph| Some(paragraph.voice) != first)
    }

    /// Returns the confidence below which words are marked, in percent.
    pub(super) fn unsure(&self) -> i64 {
        (self.threshold * 100.0).round() as i64
    }

    /// Whether a word of it is marked as unsure.
    pub(super) fn has_doubts(&self) -> bool {
        self.paragraphs.iter().any(Paragraph::has_doubts)
    }
}

impl CheckView {
    pub(super) fn of(transcript: &Transcript) -> Self {
        let at = transcript.checked_at;
        Self {
            checked: at.is_some(),
            checked_at: at.and_then(|at| Timestamp::from_millisecond(at).ok()),
            checked_by: transcript.checked_by.clone(),
            ..Self::default()
        }
    }
}

impl SubmissionView {
    pub(super) fn of(transcript: &Transcript) -> Self {
        let submission = transcript.submission.as_ref();
        // Early versions have not stored the model. A large JSON takes too long to be read for it.
        let read = || Some(Json::from(transcript.json.clone()?)).filter(|json| !json.is_large()).and_then(Reply::read);
        let used = transcript.speech_model_used.clone();
        let used = used.or_else(|| submission.is_none().then(read).flatten()?.transcript.speech_model_used);
        let Parameters { speech_models: asked, multichannel, .. } = Parameters::of(transcript);
        Self {
            speech_models_sent: submission.map(|submission| submission.speech_models.clone()),
            speech_models_reason: other_models(&asked, submission, used.as_deref()),
            speech_model_used: used,
            keyterms_sent: submission.map(|submission| submission.keyterms.clone()),
            keyterms_left_out: submission.map(|submission| submission.keyterms_left_out.clone()),
            keyterms_left_out_more: submission.map_or(0, |submission| submission.others_left_out),
            custom_spelling_sent: submission
                .map_or_else(Vec::new, |submission| SpellingView::all(&submission.custom_spelling)),
            channels_differ: transcript.channels_differ,
            is_made_one: transcript.channels_differ == Some(false) && multichannel != Value::Bool(true),
        }
    }
}

/// The parameters of an order that are shown.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameters {
    #[serde(deserialize_with = "texts")]
    keyterms_prompt: Vec<String>,
    #[serde(deserialize_with = "texts")]
    speech_models: Vec<String>,
    multichannel: Value,
}

impl Parameters {
    fn of(transcript: &Transcript) -> Self {
        serde_json::from_str(&transcript.parameters).unwrap_or_default()
    }
}

/// Reads a list of texts. Anything else, which a client may have sent, counts as none.
fn texts<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<String>, D::Error> {
    let list = Value::deserialize(source)?;
    Ok(Vec::deserialize(list).unwrap_or_default())
}

/// Returns the key terms that a transcript was ordered with.
pub(super) fn ordered_keyterms(transcript: &Transcript) -> Vec<String> {
    match &transcript.submission {
        Some(submission) => submission.keyterms.clone(),
        None => Parameters::of(transcript).keyterms_prompt,
    }
}

impl HitView {
    /// `row` is the call with its summary; `address` is the address of a recording's audio.
    pub(super) fn of(hit: Hit, row: Option<CallRow>, address: impl Fn(&str) -> String) -> Self {
        let Hit { call, recording, transcript, passage, moment, is_checked: checked, .. } = hit;
        let is_upload = call.as_ref().is_some_and(|call| call.kind == Kind::Upload);
        let audio = recording.as_ref().filter(|_| !is_upload).map(|sid| match moment {
            Some(ms) => format!("{}#t={}.{:03}", address(sid.as_str()), ms / 1000, ms % 1000),
            None => address(sid.as_str()),
        });
        Self {
            row,
            call: call.as_ref().filter(|_| !is_upload).map(CallView::of),
            recording_sid: recording.map(|sid| sid.to_string()),
            transcript_id: transcript.map(|id| id.to_string()),
            snippet: passage,
            at_ms: moment,
            audio,
            checked,
        }
    }
}
