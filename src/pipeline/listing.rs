//! Finding orders in AssemblyAI's list of transcripts by the URL of their audio, which no other order has.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::job::{at_vendor, ms};
use crate::clients;
use crate::clients::assemblyai::Listed;
use crate::context::{Context, ListedDay};

/// How long before its last intent an order may have been submitted first: its job gives up after six hours.
const BEFORE: Duration = Duration::from_secs(6 * 60 * 60);

/// How long after its last intent an order may have been submitted, at most, by an instance that was stopped in between.
const AFTER: Duration = Duration::from_secs(2 * 60 * 60);

/// How far from its date an order is searched for: the clock that has dated it may have been wrong, and set since.
/// Generous, because the audio URL identifies the order anyway.
const SKEW: Duration = Duration::from_hours(24);

/// How long the list of a day serves those who ask for it, once it is read.
const FRESH: Duration = Duration::from_secs(60);

/// How far the clocks of two instances may be apart: one may have requested a deletion, and the other read the list.
const APART: Duration = Duration::from_secs(10);

/// Returns the transcript ids that AssemblyAI lists with this audio URL, submitted at `asked_at` or later.
pub(super) async fn with_audio(
    context: &Context,
    audio_url: &str,
    asked_at: i64,
) -> Result<Vec<String>, clients::Error> {
    let now = context.clock.now_ms();
    let since = asked_at.min(now) - ms(SKEW);
    let listed = context.assemblyai.transcripts_since(|date| at_vendor(context, since, date)).await?;
    Ok(of_audio(listed, audio_url).collect())
}

/// Returns the transcript ids that AssemblyAI lists with this audio URL, submitted about `asked_at`, however long ago that
/// is. Nothing may have been submitted with it since `settled_at`: a list that was read after that serves many such requests,
/// as when thousands of transcripts of a day are deleted. If our clock is wrong by AssemblyAI's, it may have been as wrong when it
/// dated the order, so both days are searched. If it was far ahead and has been set back since, no day is known, and the whole
/// list is searched.
pub(super) async fn around(
    context: &Context,
    audio_url: &str,
    asked_at: i64,
    settled_at: i64,
) -> Result<Vec<String>, clients::Error> {
    let now = context.clock.now_ms();
    let theirs = context.assemblyai.date().await?.map_or(now, |date| date.as_millisecond());
    let day = |time| Timestamp::from_millisecond(time).unwrap_or_default().to_zoned(TimeZone::UTC).date();
    let mut days = BTreeSet::new();
    for time in [asked_at, asked_at - (now - theirs)] {
        let (first, last) = (time - ms(BEFORE + SKEW), (time + ms(AFTER + SKEW)).min(theirs));
        days.extend(day(first).series(1.day()).take_while(|one| *one <= day(last)));
    }
    if days.is_empty() {
        let whole = context.assemblyai.transcripts_since(|_| Timestamp::MIN).await?;
        return Ok(of_audio(whole, audio_url).collect());
    }
    let mut found = Vec::new();
    for day in days {
        found.extend(of_day(context, day, audio_url, settled_at).await?);
    }
    Ok(found)
}

/// Returns the transcript ids that AssemblyAI lists for a day with this audio URL. Reads the list, unless it was read since
/// `settled_at` and a moment ago.
async fn of_day(context: &Context, day: Date, audio_url: &str, settled_at: i64) -> Result<Vec<String>, clients::Error> {
    // While one reads, others wait, because what is read serves them, too.
    let mut days = context.assemblyai_days.lock().await;
    let begun_at = context.clock.now_ms();
    days.retain(|_, day| (day.begun_at..day.ended_at + ms(FRESH)).contains(&begun_at));
    let known = days.get(&day).filter(|day| day.begun_at > settled_at + ms(APART));
    if let Some(known) = known {
        return Ok(known.ids.get(audio_url).cloned().unwrap_or_default());
    }
    let listed = context.assemblyai.transcripts_of_day(day).await?;
    let mut ids: HashMap<String, Vec<String>> = HashMap::new();
    for one in listed {
        if let Some(url) = one.audio_url {
            ids.entry(url).or_default().push(one.id);
        }
    }
    let found = ids.get(audio_url).cloned().unwrap_or_default();
    days.insert(day, ListedDay { begun_at, ended_at: context.clock.now_ms(), ids });
    Ok(found)
}

fn of_audio(listed: Vec<Listed>, audio_url: &str) -> impl Iterator<Item = String> {
    listed.into_iter().filter(move |one| one.audio_url.as_deref() == Some(audio_url)).map(|one| one.id)
}
