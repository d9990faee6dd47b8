//! Why a request or a job of the pipeline fails.

use std::time::Duration;

use jiff::Timestamp;

use super::allowed;
use super::task::Panicked;
use crate::clients;
use crate::clients::twilio::NotDecryptable;
use crate::clients::webhook::BadReceiver;
use crate::model::call::{CallId, CallSid};
use crate::model::contact::BadContact;
use crate::model::correction::BadEdit;
use crate::model::keyterms::BadKeyterms;
use crate::model::named_token::TokenId;
use crate::model::receiver::ReceiverId;
use crate::model::standing::{NotDeletable, NothingToRetry};
use crate::model::vocabulary::BadTerm;
use crate::model::word::SpokenWord;
use crate::{spool, store};

/// Words that have changed since the version that an operator saw, as they are now.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    pub version: i64,
    pub from: usize,
    pub to: usize,
    pub words: Vec<SpokenWord>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Keyterms(#[from] BadKeyterms),
    #[error(transparent)]
    NotAllowed(#[from] allowed::NotAllowed),
    #[error("a conversation needs two phones; this number is your own phone in it")]
    SameNumber,
    /// A URL at Twilio that is not one of our account's recordings.
    #[error("{0}")]
    NotOurRecording(&'static str),
    /// Neither this program nor Twilio knows the call.
    #[error("callscribe knows no call {0}")]
    NoSuchCall(String),
    #[error(
        "AssemblyAI keeps the audio of an upload for a day or two, and gives it to nobody; callscribe keeps none of it, so it cannot be played"
    )]
    NotKept,
    #[error("Twilio keeps it in storage of the account, which needs no copy")]
    InOwnStorage,
    #[error(
        "a copy of a recording is in the archive {0}, which ARCHIVE_URL does not name any more; name it to delete the copy"
    )]
    OtherArchive(String),
    #[error("other calls or uploads match by now; nothing was deleted")]
    OtherMatches,
    #[error("only an upload has a title; the other end of a call has a name")]
    NotAnUpload,
    #[error("{0}: there is no such speaker; expected a channel, such as 1, or AssemblyAI's speaker, such as A")]
    NoSuchSpeaker(String),
    #[error("callscribe has no transcript {0}, so it can be neither corrected nor checked here")]
    NoSuchTranscript(String),
    #[error("transcript {id} is {state}; only a completed one can be corrected or checked")]
    NotCompleted { id: String, state: &'static str },
    #[error(transparent)]
    Edit(#[from] BadEdit),
    #[error("version: expected 0 to {newest}, the newest version of this transcript")]
    NoSuchVersion { newest: usize },
    #[error("somebody else has changed these words since; nothing was changed")]
    Changed(Box<Changed>),
    #[error(
        "start, end: expected those of the stretch at /transcript/{0}/blind-check, or of one that was typed before; nothing was stored"
    )]
    OtherStretch(String),
    #[error("there is no correction {0} of this transcript")]
    NoSuchCorrection(String),
    #[error("correction {0} is undone already")]
    AlreadyUndone(String),
    #[error("these are transcripts of different recordings")]
    OtherRecording,
    #[error("there is no replacement {0}")]
    NoSuchReplacement(String),
    #[error("there is no trial {0}")]
    NoSuchTrial(String),
    #[error("trial {0} was confirmed with other calls or another way to transcribe them; nothing was ordered")]
    OtherTrial(String),
    #[error("arm: expected a number from 0 to {}", .arms - 1)]
    NoSuchArm { arms: usize },
    #[error("the trial still runs; choose when it has ended, or stop it")]
    TrialRuns,
    #[error("there is nothing to transcribe: {0}; nothing was ordered")]
    NothingToTry(String),
    #[error("these are {orders} transcripts, and a trial may have {most}; choose fewer calls")]
    TooManyOrders { orders: usize, most: usize },
    #[error("more than {0} calls match; choose fewer")]
    TooManyMatches(usize),
    #[error("there is no import {0}")]
    NoSuchImport(String),
    #[error("import {0} was confirmed with other recordings; nothing was ordered")]
    OtherImport(String),
    #[error("the import is {state}, so it cannot be {wanted}")]
    ImportIs { state: &'static str, wanted: &'static str },
    #[error("Twilio lists more than {0} recordings or calls of that time; choose a shorter one")]
    TooManyListed(usize),
    #[error(
        "Twilio has more recordings of that time than can be counted at once: after half a minute, {read} were read{}; choose a \
         later first day, and import what is older afterwards",
        .since.map(|since| format!(", back to {since}")).unwrap_or_default()
    )]
    TooLongToCount { read: usize, since: Option<Timestamp> },
    #[error("url: {0}")]
    Receiver(#[from] BadReceiver),
    #[error("there is no receiver {0}")]
    NoSuchReceiver(ReceiverId),
    #[error("there is a receiver with this URL already")]
    SameReceiver,
    #[error("there are {0} receivers already, which is the most; remove one")]
    TooManyReceivers(usize),
    #[error("the receiver is in WEBHOOKS; {0}")]
    ReceiverOfSetting(&'static str),
    #[error("there is no delivery {0}")]
    NoSuchDelivery(String),
    #[error("its receiver is disabled or removed; enable it first")]
    ReceiverIsOff,
    #[error("this Idempotency-Key was sent before, with another request; nothing was done")]
    OtherRequest,
    #[error("there is no token {0}")]
    NoSuchToken(TokenId),
    #[error("there is a token of the name {0:?} already")]
    SameToken(String),
    #[error("there are {0} tokens already, which is the most; revoke one")]
    TooManyTokens(usize),
    #[error("{0} is no contact's number")]
    NoSuchContact(String),
    #[error(transparent)]
    Contact(#[from] BadContact),
    #[error(transparent)]
    Term(#[from] BadTerm),
    #[error("there is no term {0}")]
    NoSuchTerm(String),
    #[error("this scope has the term {0} already; change or delete that one")]
    SameTerm(String),
    #[error("nothing is always heard in place of the term {0}, so there is no spelling to accept or reject")]
    NoSpelling(String),
    #[error("the term is in {0}; change it there, or retire it here")]
    TermOfSetting(&'static str),
    /// `later` is whether a recording may still appear.
    #[error("call {call} is {state}; {recording}")]
    NoRecording { call: CallSid, state: String, recording: String, later: bool },
    #[error("call {call} has {} recordings; choose one by recording_sid: {}", .recordings.len(), .recordings.join(", "))]
    SeveralRecordings { call: CallSid, recordings: Vec<String> },
    /// The recording has no audio. `later` is whether it may still get some.
    #[error("{recording}")]
    NotRecorded { recording: String, later: bool },
    #[error("recording {recording} is {why}")]
    NotDecryptable { recording: String, why: NotDecryptable },
    /// The client waited long enough, and the call still has no SID.
    #[error("Twilio has not yet confirmed the call; callscribe keeps checking, and /calls/{call} shows the result")]
    Unsettled { call: CallId },
    #[error("the limit of {calls} calls per {window} is reached ({setting}); nothing was dialed")]
    TooManyCalls { calls: u32, window: &'static str, setting: &'static str, retry_after: Duration },
    /// However long the client waits.
    #[error("a conversation counts as two calls, and {setting} allows {calls}; nothing was dialed")]
    NoConversations { calls: u32, setting: &'static str },
    /// Another request placed the call at the same time, and that failed.
    #[error("the call was not placed: {0}")]
    NotPlaced(String),
    #[error("the transcript failed: {0}")]
    TranscriptFailed(String),
    /// Not by callscribe, which deletes a transcript with its call.
    #[error("the transcript was deleted at AssemblyAI")]
    TranscriptDeleted,
    /// The work goes on; the client can ask again.
    #[error("{0}")]
    Pending(&'static str),
    #[error(transparent)]
    NotDeletable(NotDeletable),
    #[error("the call was deleted, with its recordings and transcripts")]
    Deleted,
    #[error(transparent)]
    NothingToRetry(NothingToRetry),
    #[error("callscribe is stopping; nothing was submitted")]
    Stopping,
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Spool(#[from] spool::Error),
    #[error(transparent)]
    Vendor(#[from] clients::Error),
    /// Each time, the program ended or was stopped while it ran this job, and another one found the lease expired.
    #[error("callscribe did not give the job back any of the {0} times that it worked on this")]
    LostEachTime(i64),
    /// A bug. The panic message is in the log.
    #[error("internal error")]
    Panicked,
}

impl Error {
    /// A sentence for the person whose call it is. It keeps the vendor's own words, which must not be in the log.
    pub(super) fn explanation(&self) -> String {
        match self {
            Self::Vendor(error) => error.explanation(),
            error => error.to_string(),
        }
    }
}

impl From<Panicked> for Error {
    fn from(_: Panicked) -> Self {
        Self::Panicked
    }
}

impl From<NotDeletable> for Error {
    fn from(refusal: NotDeletable) -> Self {
        match refusal {
            NotDeletable::Deleted => Self::Deleted,
            refusal => Self::NotDeletable(refusal),
        }
    }
}

impl From<NothingToRetry> for Error {
    fn from(refusal: NothingToRetry) -> Self {
        match refusal {
            NothingToRetry::Deleted => Self::Deleted,
            refusal => Self::NothingToRetry(refusal),
        }
    }
}
