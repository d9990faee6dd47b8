//! The vocabulary: what operators add, change and delete, and which of its terms an order takes.

use std::sync::Arc;

use super::Error;
use super::task::run_to_end;
use crate::config::speech_models;
use crate::context::{Context, Shared};
use crate::failpoint::Commit;
use crate::model::call::Call;
use crate::model::keyterms::{Keyterms, Limit};
use crate::model::vocabulary::{Scope, Source, Term, TermId, TermState, TermText, VOCABULARY, keyterms};
use crate::store::{self, Conn};

/// Terms of a scope that are read for an order. No model takes more of them.
const MOST_OFFERED: i64 = 1_200;

/// What to change about a term.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub term: Option<TermText>,
    pub scope: Option<Scope>,
    pub state: Option<TermState>,
}

/// The terms that an order may take, the most useful first.
#[derive(Debug, Default)]
pub(super) struct Offered {
    pub(super) terms: Keyterms,
    /// How many more terms there are. An order has no room for them.
    pub(super) others: i64,
}

/// Adds terms to a scope, or makes those active that it has. Returns each with whether it is new.
pub async fn add(context: &Shared, terms: Vec<TermText>, scope: Scope, by: String) -> Result<Vec<(Term, bool)>, Error> {
    check(context, &terms)?;
    let now = context.clock.now_ms();
    let new = terms.into_iter().zip(now..).map(|(term, at)| Term::typed(term, scope.clone(), by.clone(), at));
    let new: Vec<Term> = new.collect();
    let shared = Arc::clone(context);
    run_to_end(context, async move {
        let new = &new;
        let subject = new.first().map_or("", |term| term.id.as_str());
        let added = shared.store.write(Commit::StoreTerms, subject, |mut tx| async move {
            let mut added = Vec::new();
            for term in new {
                added.push(add_one(&mut tx, term, now).await?);
            }
            Ok((tx, added))
        });
        let added = added.await?;
        shared.events.changed(VOCABULARY);
        Ok(added)
    })
    .await
}

async fn add_one(tx: &mut Conn, new: &Term, now: i64) -> Result<(Term, bool), store::Error> {
    let Some(same) = tx.same_term(&new.scope, &new.term).await? else {
        tx.add_term(new, now).await?;
        return Ok((new.clone(), true));
    };
    if same.id == new.id {
        // A transaction whose outcome was unknown runs again.
        return Ok((same, true));
    }
    let same = Term { term: new.term.clone(), state: TermState::Active, ..same };
    tx.change_term(&same, now).await?;
    Ok((same, false))
}

/// Changes a term.
pub async fn change(context: &Shared, id: TermId, change: Change) -> Result<Term, Error> {
    check(context, change.term.as_slice())?;
    let shared = Arc::clone(context);
    run_to_end(context, async move {
        let (shared, id, change) = (&shared, &id, &change);
        let changed = shared.store.write(Commit::StoreTerms, id.as_str(), |mut tx| async move {
            let Some(known) = tx.term(id).await? else {
                return Ok((tx, Err(Error::NoSuchTerm(id.to_string()))));
            };
            let Change { term, scope, state } = change.clone();
            let changed = Term {
                term: term.unwrap_or_else(|| known.term.clone()),
                scope: scope.unwrap_or_else(|| known.scope.clone()),
                state: state.unwrap_or(known.state),
                ..known.clone()
            };
            // The settings would bring it back as it was.
            let moves = changed.scope != known.scope || changed.term.lower_case() != known.term.lower_case();
            if let Some(setting) = setting_of(&known).filter(|_| moves) {
                return Ok((tx, Err(Error::TermOfSetting(setting))));
            }
            if let Some(other) = tx.same_term(&changed.scope, &changed.term).await?.filter(|other| other.id != *id) {
                return Ok((tx, Err(Error::SameTerm(other.term.to_string()))));
            }
            tx.change_term(&changed, shared.clock.now_ms()).await?;
            Ok((tx, Ok(changed)))
        });
        let changed = changed.await??;
        shared.events.changed(VOCABULARY);
        Ok(changed)
    })
    .await
}

/// Deletes a term with what was counted of it.
pub async fn forget(context: &Shared, id: TermId) -> Result<(), Error> {
    let shared = Arc::clone(context);
    run_to_end(context, async move {
        let (shared, id) = (&shared, &id);
        // Decided here, because a transaction whose outcome is unknown runs twice.
        let known = shared.store.read().await?.term(id).await?;
        let known = known.ok_or_else(|| Error::NoSuchTerm(id.to_string()))?;
        if let Some(setting) = setting_of(&known) {
            return Err(Error::TermOfSetting(setting));
        }
        let deleted = shared.store.write(Commit::DeleteTerm, id.as_str(), |mut tx| async move {
            tx.delete_term(id, shared.clock.now_ms()).await?;
            Ok((tx, ()))
        });
        deleted.await?;
        shared.events.changed(VOCABULARY);
        Ok(())
    })
    .await
}

/// Stores the key terms of the settings, as last read, in the vocabulary.
pub async fn store_settings(context: &Context) -> Result<(), Error> {
    let (listed, filed) = context.keyterms_by_setting();
    let stored = context.store.read().await?.terms_of_settings().await?;
    let of = |source| {
        Keyterms::from_terms(stored.iter().filter(|term| term.source == source).map(|term| term.term.as_str()))
    };
    if of(Source::Setting) == listed && of(Source::File) == filed {
        return Ok(());
    }
    let (listed, filed) = (&listed, &filed);
    let stored = context.store.write(Commit::StoreTerms, "settings", |mut tx| async move {
        let now = context.clock.now_ms();
        tx.put_settings(Source::Setting, listed, now).await?;
        tx.put_settings(Source::File, filed, now).await?;
        Ok((tx, ()))
    });
    stored.await?;
    context.events.changed(VOCABULARY);
    Ok(())
}

/// What the models of the settings take.
pub fn limit(context: &Context) -> Limit {
    speech_models::limit(&context.transcript.speech_models)
}

/// Returns the active terms for a call, or for audio of no call: those of the narrowest scope first, and in each the most
/// useful first.
pub(super) async fn offered(conn: &mut Conn, call: Option<&Call>) -> Result<Offered, store::Error> {
    let mut offered = Offered::default();
    for scope in call.map_or_else(|| vec![Scope::All], Scope::of_call) {
        let terms = conn.ranked_terms(&scope, MOST_OFFERED).await?;
        if terms.len() as i64 == MOST_OFFERED {
            offered.others += conn.count_active_terms(&scope).await? - MOST_OFFERED;
        }
        offered.terms = offered.terms.and(&keyterms(&terms));
    }
    Ok(offered)
}

/// Checks that the models of the settings take each of these terms.
fn check(context: &Context, terms: &[TermText]) -> Result<(), Error> {
    let each = Limit { terms: usize::MAX, words: usize::MAX, ..limit(context) };
    Ok(Keyterms::from_terms(terms.iter().map(TermText::as_str)).check(&each)?)
}

/// The setting that has a term.
fn setting_of(term: &Term) -> Option<&'static str> {
    match term.source {
        Source::Setting => Some("KEYTERMS"),
        Source::File => Some("KEYTERMS_FILE"),
        Source::Typed | Source::Learned => None,
    }
}
