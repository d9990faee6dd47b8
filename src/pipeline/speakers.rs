//! The speakers of a call: what they are called, and naming them.

use std::sync::{Arc, OnceLock};

use super::Error;
use super::asked::Asked;
use super::task::run_to_end;
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::call::{Call, CallId, CallName};
use crate::model::name::Name;
use crate::model::speakers::{Speakers, is_label, label, stored_label};
use crate::store::{self, Conn};

/// What an operator says of the speakers of a call.
#[derive(Debug, Clone, Default)]
pub struct Naming {
    /// The sides change places, with their names. Before the names below are given.
    pub swap: bool,
    /// Whether the sides were swapped where the operator saw them, if that is known. Otherwise they are as they are now.
    pub seen_swapped: Option<bool>,
    /// Names by label. `None` takes a name away.
    pub names: Vec<(String, Option<Name>)>,
}

/// Returns the speakers of a call.
pub async fn of(conn: &mut Conn, call: &Call) -> Result<Speakers, store::Error> {
    let contact = call.contact.as_ref().map(ToString::to_string);
    Ok(Speakers::of(call, conn.names_of(&call.id).await?, contact))
}

/// Names the speakers of a call, or swaps its sides. Rewrites no words: names are put to them when they are read.
pub async fn name(context: &Shared, call: &CallName, naming: Naming, asked: Asked) -> Result<(), Error> {
    let mut conn = context.store.read().await?;
    let found = conn.call(call).await?.ok_or_else(|| Error::NoSuchCall(call.as_str().to_owned()))?;
    if found.deletion.is_some() {
        return Err(Error::Deleted);
    }
    if !naming.names.is_empty() {
        let voices = conn.voices_of(&found.id).await?;
        let is_heard = |named: &str| {
            voices.iter().any(|voice| label(voice.speaker.as_deref(), voice.channel.as_deref()) == Some(named))
        };
        // A name that no words have would be shown nowhere. Before the first transcript, nobody knows the voices.
        let is_known =
            |label: &str| is_heard(label) || matches!(label, "1" | "2") || (voices.is_empty() && is_label(label));
        if let Some((unknown, _)) = naming.names.iter().find(|(label, _)| !is_known(label)) {
            return Err(Error::NoSuchSpeaker(unknown.clone()));
        }
    }
    drop(conn);
    let shared = Arc::clone(context);
    run_to_end(context, async move { store(&shared, &found.id, &naming, &asked.by).await }).await
}

async fn store(context: &Shared, call: &CallId, naming: &Naming, by: &str) -> Result<(), Error> {
    // Decided once, because a transaction whose outcome is unknown runs twice, and must not swap back what it has swapped.
    let decided = &OnceLock::new();
    let is_kept = context
        .store
        .write(Commit::NameSpeakers, &uuid::Uuid::new_v4().to_string(), |mut tx| async move {
            let now = context.clock.now_ms();
            tx.act_for(by);
            // What is deleted meanwhile gets no names.
            if !tx.lock_call(call, now).await? {
                return Ok((tx, false));
            }
            let were_swapped = naming.seen_swapped.unwrap_or(tx.names_of(call).await?.is_swapped);
            let are_swapped = *decided.get_or_init(|| were_swapped ^ naming.swap);
            for (label, name) in &naming.names {
                tx.name_speaker(call, &stored_label(label, are_swapped), name.as_ref()).await?;
            }
            if naming.swap {
                tx.swap_sides(call, are_swapped).await?;
            }
            tx.note_naming(call, now).await?;
            Ok((tx, true))
        })
        .await?;
    context.events.changed(call.as_str());
    if is_kept { Ok(()) } else { Err(Error::Deleted) }
}
