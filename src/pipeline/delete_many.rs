//! Deleting all calls and uploads that match, such as those of a contact. First somebody learns what that would delete; once
//! confirmed, each of them gets the job that deletes it (`pipeline::delete`).

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::asked::Asked;
use super::delete::{self, Extent};
use super::task::run_to_end;
use super::{Error, facts};
use crate::clients;
use crate::context::Shared;
use crate::model::call::{Call, CallName};
use crate::model::phone::PhoneNumber;
use crate::model::standing::NotDeletable;
use crate::store::{Filter, Listed, Number, Sort};

/// Calls that one request may delete.
const MOST: usize = 100_000;

/// Calls that are read at once.
const BATCH: i64 = 100;

/// Calls that one transaction marks for deletion. Other writers wait meanwhile, and for a call of three hours it removes
/// thousands of words from the search index.
const MARKED_AT_ONCE: usize = 5;

/// All calls whose other end has this number.
pub fn with(number: &PhoneNumber) -> Filter {
    let number = number.to_string();
    let parties = Some(vec![number.clone()]);
    Filter { number: Some(Number::Whole(number)), parties, ..Filter::default() }
}

/// What is being deleted, and what is left.
#[derive(Debug, Default)]
pub struct Receipt {
    pub deleting: Vec<Extent>,
    /// The calls that cannot be deleted now, and why.
    pub left: Vec<(Call, NotDeletable)>,
}

impl Receipt {
    /// Identifies what would be deleted: it is another text for other calls.
    pub fn matches(&self) -> String {
        let mut ids: Vec<&str> = self.deleting.iter().map(|extent| extent.call.id.as_str()).collect();
        ids.sort_unstable();
        clients::hex(&Sha256::digest(ids.join(" ")))
    }

    fn add(&mut self, (extent, refusal): (Extent, Option<NotDeletable>)) {
        match refusal {
            None | Some(NotDeletable::Deleting) => self.deleting.push(extent),
            Some(NotDeletable::Deleted) => {}
            Some(why) => self.left.push((extent.call, why)),
        }
    }
}

/// Returns what the deletion of all that match would delete.
pub async fn extent(context: &Shared, filter: &Filter) -> Result<Receipt, Error> {
    let (mut receipt, mut after) = (Receipt::default(), None);
    loop {
        let mut conn = context.store.read().await?;
        let Listed { calls, next } = conn.list(filter, Sort::Newest, after.as_ref(), BATCH).await?;
        if receipt.deleting.len() + receipt.left.len() + calls.len() > MOST {
            return Err(Error::TooManyMatches(MOST));
        }
        for call in calls {
            let facts = facts::without_words(&mut conn, call).await?;
            let refusal = facts.may_delete().err();
            receipt.add((facts.into(), refusal));
        }
        if next.is_none() {
            return Ok(receipt);
        }
        after = next;
    }
}

/// Commits the deletion of all that match and are over, some at a time, with a job for each. Those that are still up are
/// left. With [`Receipt::matches`] of what somebody has seen, fails if it would delete
/// anything else.
pub async fn delete(context: &Shared, filter: Filter, seen: Option<String>, asked: Asked) -> Result<Receipt, Error> {
    let shared = Arc::clone(context);
    run_to_end(context, async move { request_all(&shared, &filter, seen, &asked.by).await }).await
}

async fn request_all(context: &Shared, filter: &Filter, seen: Option<String>, by: &str) -> Result<Receipt, Error> {
    let found = extent(context, filter).await?;
    if seen.is_some_and(|seen| seen != found.matches()) {
        return Err(Error::OtherMatches);
    }
    let names: Vec<CallName> = found.deleting.iter().map(|extent| CallName::Id(extent.call.id.clone())).collect();
    let mut receipt = Receipt { left: found.left, ..Receipt::default() };
    for some in names.chunks(MARKED_AT_ONCE) {
        delete::request_some(context, some, filter, by).await?.into_iter().for_each(|requested| receipt.add(requested));
    }
    Ok(receipt)
}
