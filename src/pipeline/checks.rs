//! Marks transcripts, or stretches of them, as checked by ear.

use std::sync::Arc;

use super::corrections::completed;
use super::error::Error;
use super::learn;
use super::task::run_to_end;
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::checked::{Check, Checked, Stretch};
use crate::model::transcript::TranscriptId;
use crate::model::word::SpokenWord;

/// What an operator says of a stretch of a transcript.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub is_checked: bool,
    /// In milliseconds from the start of the audio; `to` is greater.
    pub from: i64,
    pub to: i64,
    /// Who says so, for people.
    pub by: String,
}

/// What is checked of a transcript.
#[derive(Debug)]
pub struct Standing {
    /// Whether all of it is.
    pub is_all: bool,
    pub checked: Checked,
    pub words: Vec<SpokenWord>,
}

/// Marks a stretch of a transcript as checked, or takes that back.
pub async fn check(context: &Shared, id: &TranscriptId, wanted: Wanted) -> Result<Standing, Error> {
    let (shared, id) = (Arc::clone(context), id.clone());
    run_to_end(context, async move { store(&shared, &id, wanted).await }).await
}

async fn store(
    context: &Shared,
    id: &TranscriptId,
    Wanted { is_checked, from, to, by }: Wanted,
) -> Result<Standing, Error> {
    let mut conn = context.store.read().await?;
    let transcript = &completed(&mut conn, id).await?;
    let words = conn.words_of(&transcript.id).await?;
    drop(conn);
    let check = &Check { is_checked, stretch: Stretch { from, to, at: context.clock.now_ms(), by } };
    let spoken = &words;
    let checked = context
        .store
        .write(Commit::Check, id.as_str(), |mut tx| async move {
            let checked = tx.add_check(transcript, spoken, check).await?;
            if checked.is_some() {
                learn::open(&mut tx, &transcript.id, check.stretch.at).await?;
            }
            Ok((tx, checked))
        })
        .await?;
    let (checked, is_all) = checked.ok_or(Error::Deleted)?;
    context.events.changed(transcript.call.as_ref().map_or(transcript.id.as_str(), |call| call.as_str()));
    Ok(Standing { is_all, checked, words })
}
