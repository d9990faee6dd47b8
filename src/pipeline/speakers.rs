//! The speakers of a call: what they are called, and naming them.

use std::sync::Arc;

use super::Error;
use super::task::run_to_end;
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::call::{Call, CallId, CallName};
use crate::model::name::Name;
use crate::model::speakers::{Speakers, is_label, label};
use crate::store::{self, Conn};

/// What an operator says of the speakers of a call.
#[derive(Debug, Clone, Default)]
pub struct Naming {
    /// The sides change places, with their names. Before the names below are given.
    pub swap: bool,
    /// Names by label. `None` takes a name away.
    pub names: Vec<(String, Option<Name>)>,
}

/// Returns the speakers of a call.
pub async fn of(conn: &mut Conn, call: &Call) -> Result<Speakers, store::Error> {
    let contact = call.contact.as_ref().map(ToString::to_string);
    Ok(Speakers::of(call, conn.names_of(&call.id).await?, contact))
}

/// Names the speakers of a call, or swaps its sides. Rewrites no words: names are put to them when they are read.
pub async fn name(context: &Shared, call: &CallName, naming: Naming) -> Result<(), Error> {
    let mut conn = context.store.read().await?;
    let found = conn.call(call).await?.ok_or_else(|| Error::NoSuchCall(call.as_str().to_owned()))?;
    if found.deletion.is_some() {
        return Err(Error::Deleted);
    }
    if naming.names.iter().any(|(label, _)| !is_label(label)) {
        let voices = conn.voices_of(&found.id).await?;
        let is_heard = |named: &str| {
            voices.iter().any(|voice| label(voice.speaker.as_deref(), voice.channel.as_deref()) == Some(named))
        };
        if let Some((unknown, _)) = naming.names.iter().find(|(label, _)| !is_label(label) && !is_heard(label)) {
            return Err(Error::NoSuchSpeaker(unknown.clone()));
        }
    }
    // Decided here, because a transaction whose outcome is unknown runs twice.
    let mut names = conn.names_of(&found.id).await?;
    drop(conn);
    names.is_swapped ^= naming.swap;
    let given: Vec<_> = naming.names.into_iter().map(|(label, name)| (names.stored_label(&label), name)).collect();
    let shared = Arc::clone(context);
    run_to_end(context, async move { store_names(&shared, &found.id, &given, names.is_swapped).await }).await
}

async fn store_names(
    context: &Shared,
    call: &CallId,
    names: &[(String, Option<Name>)],
    is_swapped: bool,
) -> Result<(), Error> {
    let is_kept = context
        .store
        .write(Commit::NameSpeakers, &uuid::Uuid::new_v4().to_string(), |mut tx| async move {
            // What is deleted meanwhile gets no names.
            if tx.is_deletion_wanted(call).await? {
                return Ok((tx, false));
            }
            tx.name_speakers(call, names, is_swapped, context.clock.now_ms()).await?;
            Ok((tx, true))
        })
        .await?;
    context.events.changed(call.as_str());
    if is_kept { Ok(()) } else { Err(Error::Deleted) }
}
