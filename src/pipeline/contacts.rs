//! What operators ask for about contacts: to name a number, to forget its name, to delete all its calls.

use std::sync::Arc;

use super::delete::{self, Extent};
use super::task::run_to_end;
use super::{Error, facts};
use crate::config::speech_models;
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::call::{Call, CallName};
use crate::model::contact::{BadContact, CONTACTS, Contact, Notes};
use crate::model::keyterms::Keyterms;
use crate::model::name::{BadName, Name};
use crate::model::phone::PhoneNumber;
use crate::model::standing::NotDeletable;
use crate::store::{Cursor, Filter, Number};

/// Calls that are read at once.
const BATCH: i64 = 100;

/// Calls that one transaction marks for deletion. Other writers wait meanwhile, and for a call of three hours it removes
/// thousands of words from the search index.
const MARKED_AT_ONCE: usize = 5;

/// What to change about a contact. Without a contact, what is not given is empty, except the name.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub name: Option<Name>,
    pub keyterms: Option<Keyterms>,
    pub notes: Option<Notes>,
}

/// What is being deleted of a contact's calls, and what is left.
#[derive(Debug, Default)]
pub struct Receipt {
    pub deleting: Vec<Extent>,
    /// The calls that cannot be deleted now, and why.
    pub left: Vec<(Call, NotDeletable)>,
}

impl Receipt {
    fn add(&mut self, (extent, refusal): (Extent, Option<NotDeletable>)) {
        match refusal {
            None | Some(NotDeletable::Deleting) => self.deleting.push(extent),
            Some(NotDeletable::Deleted) => {}
            Some(why) => self.left.push((extent.call, why)),
        }
    }
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

/// Returns what the deletion of all calls with this number would delete.
pub async fn extent(context: &Shared, number: &PhoneNumber) -> Result<Receipt, Error> {
    let (mut receipt, mut after) = (Receipt::default(), None);
    loop {
        let (calls, next) = some_calls(context, number, after.as_ref()).await?;
        let mut conn = context.store.read().await?;
        for name in calls {
            if let Some(call) = conn.call(&name).await? {
                let facts = facts::without_words(&mut conn, call).await?;
                let refusal = facts.may_delete().err();
                receipt.add((facts.into(), refusal));
            }
        }
        if next.is_none() {
            return Ok(receipt);
        }
        after = next;
    }
}

/// Commits the deletion of every call with this number that is over, some at a time, with a job for each. Those that are
/// still up are left. Asked again, it continues where it was.
pub async fn delete_calls(context: &Shared, number: PhoneNumber) -> Result<Receipt, Error> {
    let shared = Arc::clone(context);
    run_to_end(context, async move { request_all(&shared, &number).await }).await
}

async fn request_all(context: &Shared, number: &PhoneNumber) -> Result<Receipt, Error> {
    let (mut receipt, mut after) = (Receipt::default(), None);
    loop {
        let (calls, next) = some_calls(context, number, after.as_ref()).await?;
        for some in calls.chunks(MARKED_AT_ONCE) {
            delete::request_some(context, some).await?.into_iter().for_each(|requested| receipt.add(requested));
        }
        if next.is_none() {
            return Ok(receipt);
        }
        after = next;
    }
}

/// Returns some of the calls whose other end has this number, newest first, and where the next ones begin.
async fn some_calls(
    context: &Shared,
    number: &PhoneNumber,
    after: Option<&Cursor>,
) -> Result<(Vec<CallName>, Option<Cursor>), Error> {
    let number = number.to_string();
    let filter = Filter { number: Some(Number::Whole(number.clone())), ..Filter::default() };
    let calls = context.store.read().await?.calls_matching(&filter, after, BATCH).await?;
    let last = calls.last().filter(|_| calls.len() == BATCH as usize);
    let next = last.map(|last| Cursor { created_at: last.created_at, id: last.id.clone() });
    let calls = calls.into_iter().filter(|call| call.party() == Some(number.as_str()));
    Ok((calls.map(|call| CallName::Id(call.id)).collect(), next))
}
