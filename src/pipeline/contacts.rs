//! What operators ask for about contacts: to name a number, and to forget its name.

use std::sync::Arc;

use super::Error;
use super::task::run_to_end;
use crate::config::speech_models;
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::contact::{BadContact, CONTACTS, Contact, Notes};
use crate::model::keyterms::Keyterms;
use crate::model::name::{BadName, Name};
use crate::model::phone::PhoneNumber;

/// What to change about a contact. Without a contact, what is not given is empty, except the name.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub name: Option<Name>,
    pub keyterms: Option<Keyterms>,
    pub notes: Option<Notes>,
}

/// Stores a change of a contact, or a new one. Returns the contact, and whether it is new.
pub async fn change(
    context: &Shared,
    number: PhoneNumber,
    change: Change,
    by: String,
) -> Result<(Contact, bool), Error> {
    if let Some(keyterms) = &change.keyterms {
        speech_models::check(&context.transcript.speech_models, &context.keyterms().and(keyterms))?;
    }
    let shared = Arc::clone(context);
    run_to_end(context, async move { store(&shared, &number, &change, &by).await }).await
}

async fn store(context: &Shared, number: &PhoneNumber, change: &Change, by: &str) -> Result<(Contact, bool), Error> {
    let subject = number.to_string();
    // Decided here, because a transaction whose outcome is unknown runs twice.
    let is_new = context.store.read().await?.contact(number).await?.is_none();
    let stored = context.store.write(Commit::StoreContact, &subject, |mut tx| async move {
        let known = tx.contact(number).await?;
        let (name, keyterms, notes) = match known {
            Some(known) => (Some(known.name), known.keyterms, known.notes),
            None => (None, Keyterms::default(), Notes::default()),
        };
        let Some(name) = change.name.clone().or(name) else {
            return Ok((tx, Err(BadContact::from(BadName::Empty).into())));
        };
        let contact = Contact {
            number: number.clone(),
            name,
            keyterms: change.keyterms.clone().unwrap_or(keyterms),
            notes: change.notes.clone().unwrap_or(notes),
        };
        tx.put_contact(&contact, by, context.clock.now_ms()).await?;
        Ok((tx, Ok((contact, is_new))))
    });
    let stored = stored.await?;
    context.events.changed(CONTACTS);
    stored
}

/// Deletes a contact, not its calls.
pub async fn forget(context: &Shared, number: PhoneNumber) -> Result<(), Error> {
    let shared = Arc::clone(context);
    let forget = async move {
        let shared = &shared;
        let (number, subject) = (&number, number.to_string());
        // Decided here, because a transaction whose outcome is unknown runs twice.
        if shared.store.read().await?.contact(number).await?.is_none() {
            return Err(Error::NoSuchContact(subject));
        }
        let deleted = shared.store.write(Commit::DeleteContact, &subject, |mut tx| async move {
            tx.delete_contact(number, shared.clock.now_ms()).await?;
            Ok((tx, ()))
        });
        deleted.await?;
        shared.events.changed(CONTACTS);
        Ok(())
    };
    run_to_end(context, forget).await
}
