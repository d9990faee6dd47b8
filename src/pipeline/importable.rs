//! Which recordings of the Twilio account an import takes: a page of Twilio's list at a time, never the whole of it.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

use super::job::ms;
use super::{Error, lookup};
use crate::clients::twilio::{Call, Recording, Side};
use crate::context::Shared;
use crate::model::call::{CallSid, Direction};
use crate::model::import::{ImportFilter, ItemState};
use crate::model::phone::PhoneNumber;
use crate::model::recording::RecordingSid;
use crate::store::{Here, ImportItem, Number};

/// Maximum number of recordings that are read, and of calls of a number.
pub(super) const MOST: usize = 100_000;

/// How long before its recording a call may have begun. The longest calls take a day.
const LONGEST_CALL: Duration = Duration::from_hours(24);

/// Why a recording is left out that has a transcript here.
pub(super) const ALREADY: &str = "it has a transcript here already";

/// Why a recording is left out that Twilio has no more.
pub(super) const DELETED: &str = "it is deleted at Twilio";

/// A page of recordings that are meant.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) items: Vec<ImportItem>,
    /// The calls of those that Twilio has no use of, each with the place of its recording.
    pub(super) unusable: Vec<(usize, CallSid)>,
    /// Where the next page is.
    pub(super) next: Option<String>,
}

/// The SIDs of the calls to or from the number of a filter; `None` without one. Of a leg, that of the call that dialed it, too:
/// Twilio names that one for their recordings.
pub(super) async fn calls_of_number(context: &Shared, filter: &ImportFilter) -> Result<Option<HashSet<String>>, Error> {
    let Some(number) = filter.number.as_deref().and_then(Number::parse) else { return Ok(None) };
    let (since, until) = (time(filter.since.saturating_sub(ms(LONGEST_CALL))), time(filter.until));
    let (mut sids, mut read) = (HashSet::new(), 0);
    // Twilio finds only whole numbers.
    let sides: &[_] = match &number {
        Number::Whole(whole) => &[Some((Side::To, whole.as_str())), Some((Side::From, whole.as_str()))],
        Number::Ending(_) => &[None],
    };
    for side in sides {
        let mut next: Option<String> = None;
        loop {
            let (mut calls, after) = context.twilio.calls_on_days(*side, since, until, next.as_deref()).await?;
            // An empty page counts, too: nothing but Twilio says how many there are.
            read += calls.len().max(1);
            if read > MOST {
                return Err(Error::TooManyListed(MOST));
            }
            // Of those that Twilio has looked for, it knows better how it writes their addresses.
            if side.is_none() {
                calls.retain(|call| [&call.to, &call.from].into_iter().flatten().any(|one| number.is_of(one)));
            }
            for call in calls {
                sids.extend(call.parent_call_sid);
                sids.insert(call.sid);
            }
            let Some(after) = after else { break };
            next = Some(after);
        }
    }
    Ok(Some(sids))
}

/// Reads a page of Twilio's list of at most `size` recordings: the first, or that at `next`. Returns those that the filter means,
/// each with what an import would do with it. `calls` are those of the filter's number.
pub(super) async fn page(
    context: &Shared,
    filter: &ImportFilter,
    calls: Option<&HashSet<String>>,
    size: usize,
    next: Option<&str>,
) -> Result<Page, Error> {
    let (since, until) = (time(filter.since), time(filter.until));
    let (mut recordings, next) = context.twilio.recordings_between(since, until, size, next).await?;
    recordings.retain(|recording| {
        let is_of_number = calls.is_none_or(|calls| {
            let sids = [recording.call_sid.as_ref(), recording.conference_sid.as_ref()];
            sids.into_iter().flatten().any(|sid| calls.contains(sid))
        });
        let channels = recording.channels.map(i64::from);
        is_of_number && filter.is_met(made_at(recording), seconds(recording), channels)
    });
    let sids: Vec<&str> = recordings.iter().map(|recording| recording.sid.as_str()).collect();
    let here = context.store.read().await?.recordings_here(&sids).await?;
    let mut page = Page { items: Vec::with_capacity(recordings.len()), unusable: Vec::new(), next };
    for recording in &recordings {
        // Any other SID is none of Twilio's.
        let Ok(sid) = recording.sid.parse() else { continue };
        let here = here.get(recording.sid.as_str()).copied().unwrap_or_default();
        let lack = lack_at_twilio(context, recording);
        if lack_here(here).is_none() && lack.is_some() {
            page.unusable.extend(call_sid(recording).map(|call| (page.items.len(), call)));
        }
        page.items.push(item(sid, recording, lack_here(here).map(str::to_owned).or(lack)));
    }
    Ok(page)
}

fn item(sid: RecordingSid, recording: &Recording, reason: Option<String>) -> ImportItem {
    ImportItem {
        recording: sid,
        made_at: made_at(recording),
        seconds: seconds(recording),
        state: if reason.is_some() { ItemState::Skipped } else { ItemState::Waiting },
        reason,
        number: None,
        order: None,
    }
}

pub(super) fn call_sid(recording: &Recording) -> Option<CallSid> {
    recording.call_sid.as_deref()?.parse().ok()
}

/// The number at the other end of a call, as Twilio has it.
pub(super) fn party(call: &Call) -> Option<String> {
    let direction = Direction::of_twilio(call.direction.as_deref().unwrap_or_default());
    direction.party(call.to.clone(), call.from.clone()).filter(|number| number.parse::<PhoneNumber>().is_ok())
}

/// The same of a recording's call. It is only for people: what Twilio does not answer now is missing.
pub(super) async fn party_of(context: &Shared, call: Option<&CallSid>) -> Option<String> {
    let call = lookup::call_if_kept(context, call?).await.ok().flatten()?;
    party(&call)
}

/// Why nothing is ordered of a recording, for what is here of it.
pub(super) fn lack_here(here: Here) -> Option<&'static str> {
    match here {
        Here { is_deleted: true, .. } => Some("its call is deleted here"),
        Here { has_transcript: true, .. } => Some(ALREADY),
        Here { has_failed: true, .. } => Some("its transcript has failed here; retry that on the page of its call"),
        Here { .. } => None,
    }
}

/// Why nothing can be ordered of a recording, for what Twilio says of it.
pub(super) fn lack_at_twilio(context: &Shared, recording: &Recording) -> Option<String> {
    if recording.is_coming() {
        return Some("it is not finished".to_owned());
    }
    if !recording.is_complete() {
        return Some(match (recording.status.as_str(), recording.error_code) {
            ("deleted", _) => DELETED.to_owned(),
            (_, Some(code)) => format!("Twilio kept no audio: {} (Twilio code {code})", lookup::reason(code)),
            ("absent", None) => "Twilio kept no audio".to_owned(),
            (status, None) => format!("it is {status}"),
        });
    }
    if recording.seconds().unwrap_or_default() == 0 {
        return Some("it is 0 seconds long".to_owned());
    }
    if recording.call_sid.is_none() && recording.conference_sid.is_none() {
        return Some("Twilio names no call of it".to_owned());
    }
    match lookup::decryption(context, recording) {
        Err(Error::NotDecryptable { why, .. }) => Some(format!("it is {why}")),
        _ => None,
    }
}

/// When a recording was made, in milliseconds since 1970. Of one without a date, Twilio's filter has decided.
pub(super) fn made_at(recording: &Recording) -> i64 {
    recording.created().map_or(0, Timestamp::as_millisecond)
}

pub(super) fn seconds(recording: &Recording) -> i64 {
    recording.seconds().and_then(|seconds| seconds.try_into().ok()).unwrap_or_default()
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
