//! Finding orders in AssemblyAI's list of transcripts by the URL of their audio, which no other order has.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::job::{at_vendor, ms};
use crate::clients;
use crate::clients::assemblyai::Listed;
use crate::context::Context;

/// How long before its last intent an order may have been submitted first: its job gives up after six hours.
const BEFORE: Duration = Duration::from_secs(6 * 60 * 60);

/// How long after its last intent an order may have been submitted, at most, by an instance that was stopped in between.
const AFTER: Duration = Duration::from_secs(2 * 60 * 60);

/// How far from its date an order is searched for: the clock that has dated it may have been wrong, and set since.
/// Generous, because the audio URL identifies the order anyway.
const SKEW: Duration = Duration::from_hours(24);

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
/// is. If our clock is wrong by AssemblyAI's, it may have been as wrong when it dated the order, so both days are searched.
/// If it was far ahead and has been set back since, no day is known, and the whole list is searched.
pub(super) async fn around(context: &Context, audio_url: &str, asked_at: i64) -> Result<Vec<String>, clients::Error> {
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
        found.extend(of_audio(context.assemblyai.transcripts_of_day(day).await?, audio_url));
    }
    Ok(found)
}

fn of_audio(listed: Vec<Listed>, audio_url: &str) -> impl Iterator<Item = String> {
    listed.into_iter().filter(move |one| one.audio_url.as_deref() == Some(audio_url)).map(|one| one.id)
}
