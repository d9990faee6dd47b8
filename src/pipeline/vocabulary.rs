//! The vocabulary: what operators add, change and delete, and which of its terms an order takes.

use std::sync::Arc;

use super::Error;
use super::request::language_of;
use super::task::run_to_end;
use crate::config::speech_models;
use crate::context::{Context, Shared};
use crate::failpoint::Commit;
use crate::model::call::Call;
use crate::model::keyterms::{Keyterms, Limit};
use crate::model::learned::CommonWords;
use crate::model::replace::Replacing;
use crate::model::vocabulary::{Scope, Source, Spelling, SpellingState, Term, TermId, TermState, TermText, VOCABULARY};
use crate::store::{self, Asked, Conn, Example, Filter};

/// Terms of a scope that are read for an order. No model takes more of them.
const MOST_OFFERED: i64 = 1_200;

/// Terms of a list that are stored in one transaction. All of a long list would keep calls waiting for seconds. If the program
/// ends in between, the client has no answer, and sends the list again.
const AT_ONCE: usize = 500;

/// What to change about a term.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub term: Option<TermText>,
    pub scope: Option<Scope>,
    pub state: Option<TermState>,
    /// What becomes of the spelling that is proposed, or in use. [`SpellingState::Proposed`] leaves it undecided.
    pub spelling: Option<SpellingState>,
}

/// Corrections of a term that show that what is heard in its place is always the same.
const ALWAYS: i64 = 2;

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
        let mut added = Vec::new();
        for new in new.chunks(AT_ONCE) {
            let some = shared.store.write(Commit::StoreTerms, new[0].id.as_str(), |mut tx| async move {
                let mut added = Vec::new();
                tx.count_again(now).await?;
                for term in new {
                    added.push(add_one(&mut tx, term, now).await?);
                }
                Ok((tx, added))
            });
            added.extend(some.await?);
        }
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
            let Change { term, scope, state, spelling } = change.clone();
            let spelling = match spelling {
                None => known.spelling.clone(),
                Some(state) => match spelling_of(&mut tx, &known).await? {
                    None => return Ok((tx, Err(Error::NoSpelling(known.term.to_string())))),
                    Some(_) if state == SpellingState::Proposed => None,
                    Some(spelling) => Some(Spelling { state, ..spelling }),
                },
            };
            let changed = Term {
                spelling,
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
            let now = shared.clock.now_ms();
            let is_rejected = |term: &Term| term.state == TermState::Rejected;
            if moves || is_rejected(&changed) != is_rejected(&known) {
                tx.count_again(now).await?;
            }
            tx.change_term(&changed, now).await?;
            Ok((tx, Ok(changed)))
        });
        let changed = changed.await??;
        shared.events.changed(VOCABULARY);
        Ok(changed)
    })
    .await
}

/// Returns what AssemblyAI must spell as this term: what somebody has decided on, or else what is proposed. That is something
/// which was heard each time that the term was corrected, and is nothing that anybody says: no common word, and in no
/// transcript that is checked.
pub async fn spelling_of(conn: &mut Conn, term: &Term) -> Result<Option<Spelling>, store::Error> {
    let is_one_word = term.term.as_str().split_whitespace().nth(1).is_none();
    let corrected = term.counts.corrected;
    if term.spelling.is_some() || !is_one_word || term.state == TermState::Rejected || corrected < ALWAYS {
        return Ok(term.spelling.clone());
    }
    // One more than there should be, if all are there.
    let examples = conn.examples_of(&term.id, usize::try_from(corrected).unwrap_or_default() + 1).await?;
    let Some(first) = examples.first() else { return Ok(None) };
    let from = first.misheard.heard.clone();
    let is_it = |example: &Example| {
        let is_common = CommonWords::of(&language_of(&example.parameters)).has(&from);
        example.misheard.heard.to_lowercase() == from.to_lowercase() && !is_common
    };
    // It would replace the term itself.
    let is_term = from.to_lowercase() == term.term.lower_case();
    if is_term || examples.len() as i64 != corrected || !examples.iter().all(is_it) {
        return Ok(None);
    }
    let Ok(find) = Replacing::new(&from, "", false, true) else { return Ok(None) };
    let checked = Filter { is_checked: Some(true), ..Filter::default() };
    let is_said = conn.count_indexed(&Asked::new(find, Vec::new(), String::new(), &checked)).await? > 0;
    Ok((!is_said).then_some(Spelling { from, state: SpellingState::Proposed }))
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
            let now = shared.clock.now_ms();
            tx.count_again(now).await?;
            tx.delete_term(id, now).await?;
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
    let (listed, filed) = (&listed, &filed);
    let changes = context.store.read().await?.changes_of_settings(listed, filed, context.clock.now_ms()).await?;
    if changes.is_empty() {
        return Ok(());
    }
    let stored = context.store.write(Commit::StoreTerms, "settings", |mut tx| async move {
        let now = context.clock.now_ms();
        tx.count_again(now).await?;
        for change in tx.changes_of_settings(listed, filed, now).await? {
            tx.apply_change(&change, now).await?;
        }
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
        if terms.as_slice().len() as i64 == MOST_OFFERED {
            offered.others += conn.count_active_terms(&scope).await? - MOST_OFFERED;
        }
        offered.terms = offered.terms.and(&terms);
    }
    Ok(offered)
}

/// Returns what AssemblyAI must spell as terms in a call, or in audio of no call, each with its term. Of the same in several
/// scopes, the narrowest counts.
pub(super) async fn spellings(conn: &mut Conn, call: Option<&Call>) -> Result<Vec<(String, String)>, store::Error> {
    let mut spellings: Vec<(String, String)> = Vec::new();
    for scope in call.map_or_else(|| vec![Scope::All], Scope::of_call) {
        for (from, to) in conn.spellings_of(&scope).await? {
            if !spellings.iter().any(|(known, _)| known.to_lowercase() == from.to_lowercase()) {
                spellings.push((from, to));
            }
        }
    }
    Ok(spellings)
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
