//! The job that learns from the corrections of a transcript: it proposes what they put right for the vocabulary, counts how
//! often each term was misheard, and measures how right the transcript was. It runs some seconds after a correction or check,
//! so that one run serves many. After a change of the vocabulary, it runs for every transcript that is measured, and proposes
//! nothing.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::Error;
use super::job::{self, JobError, ms};
use super::measure::{Evidence, figures, measures};
use super::request::language_of;
use crate::accuracy::{Comparison, Place, Terms, Token};
use crate::config::Learns;
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::checked::{Check, Checked};
use crate::model::correction::Sequence;
use crate::model::job::JobKind;
use crate::model::learned::{CommonWords, Lesson, accepted, lessons, rare_words};
use crate::model::replace::Replacing;
use crate::model::transcript::OrderId;
use crate::model::vocabulary::{Counts, Scope, Source, Term, TermId, TermState, TermText, VOCABULARY};
use crate::model::word::SpokenWord;
use crate::store::{self, Asked, Conn, Filter, Job, Misheard, Use};

/// From a correction to the run of the job.
const PAUSE: Duration = Duration::from_secs(4);

/// Who makes learned terms, for people.
const BY: &str = "corrections";

/// Opens the job for a transcript that was corrected.
pub(super) async fn open(tx: &mut Conn, order: &OrderId, now: i64) -> Result<(), store::Error> {
    tx.open_job(JobKind::Learning, order.as_str(), now + ms(PAUSE), now).await
}

pub(super) async fn run(context: &Shared, job: &Job) -> Result<(), JobError> {
    let order = &OrderId::from(job.subject.clone());
    let mut conn = context.store.read().await?;
    // One of a trial is no draft that its call had.
    let known = conn.transcript_by_id(order).await?.filter(|known| known.trial.is_none());
    let Some(transcript) = &known else { return job::close(context, job).await };
    let heard = conn.heard_words_of(order).await?;
    let corrections = conn.corrections_of(order).await?;
    let call = match &transcript.call {
        Some(id) => conn.call(&id.clone().into()).await?,
        None => None,
    };
    let (checks, blind) = (conn.checks_of(order).await?, conn.blind_checks_of(order).await?);
    let scopes = &call.as_ref().map_or_else(|| vec![Scope::All], Scope::of_call);
    let mut terms: Vec<Term> = Vec::new();
    for scope in scopes {
        terms.extend(conn.all_terms_of(scope).await?);
    }
    let mut sequence = Sequence::of_heard(heard.len());
    if corrections.iter().try_for_each(|correction| sequence.apply(correction)).is_none() {
        return Err(store::Error::Unreadable("corrections.spans").into());
    }
    let (corrected, mut common) = (sequence.corrected(), CommonWords::of(&language_of(&transcript.parameters)));
    let said = sequence.words(heard.clone());
    let are_accepted = are_accepted(&said, &checks);
    let of_people = said.iter().zip(&are_accepted).filter(|(_, is_accepted)| **is_accepted).map(|(word, _)| word);
    // Each of these, such as this one, may have been corrected to the same, which is not stored yet.
    let unlearned = conn.count_open_jobs(JobKind::Learning).await?.max(1);
    for word in rare_words(corrected.iter().flat_map(|stretch| &stretch.words).chain(of_people), &common) {
        let Ok(find) = Replacing::new(&word, "", false, true) else { continue };
        let found_in = conn.count_indexed(&Asked::new(find, Vec::new(), String::new(), &Filter::default())).await?;
        let corrected_in = conn.corrections_to(&word).await? + unlearned;
        common.add_own(&word, found_in - corrected_in, corrected_in);
    }
    drop(conn);
    // Of a long transcript, this takes a while, during which other tasks have the thread.
    let read = tokio::task::spawn_blocking(move || {
        let (lessons, accepted) = (lessons(&heard, &corrected, &common), accepted(&said, &are_accepted, &common));
        let listened = Checked::listened(&checks, &said);
        let is_whole = listened.covers_all(&said);
        let evidence = Evidence { heard, said, is_corrected: !corrected.is_empty(), listened, blind };
        let counted = counted(&evidence, &terms);
        let figures = figures(&evidence, &wanted(&terms, &lessons));
        (lessons, accepted, counted, is_whole, figures)
    });
    let (learned, accepted, counted, is_whole, figures) = &read.await.map_err(|_| Error::Panicked)?;
    // What somebody deleted is not proposed again because of another term.
    let learns = if job.kind == JobKind::Counting { Learns::Nothing } else { context.transcript.learns };
    let measures = &measures(transcript, call.as_ref(), *is_whole, figures);
    let has_changed = context
        .store
        .write(Commit::Learn, &format!("{order} {}", job.claim), |mut tx| async move {
            let now = context.clock.now_ms();
            // Ends the job only if no correction has come meanwhile.
            tx.end_job(job, None, now).await?;
            // Another job, or another instance, may count the same transcript.
            let is_there = tx.lock_transcript(transcript, now).await?;
            let mut uses = if is_there { counted.clone() } else { BTreeMap::new() };
            for lesson in learned.iter().filter(|_| is_there) {
                if let Some(term) = term_of(&mut tx, &lesson.term, scopes, learns, now).await? {
                    let one: &mut Use = uses.entry(term.clone()).or_insert_with(|| Use::of(term));
                    one.counts.corrected += 1;
                    one.places.push(Misheard { heard: lesson.heard.clone(), at_ms: lesson.at_ms });
                }
            }
            for term in accepted.iter().filter(|_| is_there) {
                if let Some(term) = term_of(&mut tx, term, scopes, learns, now).await? {
                    uses.entry(term.clone()).or_insert_with(|| Use::of(term)).counts.accepted += 1;
                }
            }
            if is_there {
                tx.put_measures(order, measures).await?;
            }
            for trial in tx.trials_of_baseline(order).await? {
                tx.open_job(JobKind::Trial, trial.as_str(), now, now).await?;
            }
            let uses: Vec<Use> = uses.into_values().collect();
            let has_changed = tx.put_uses(order, transcript.created_at, &uses, now).await?;
            if let Learns::Terms { after } = learns {
                tx.accept_proposals(&uses, after.into(), now).await?;
            }
            Ok((tx, has_changed))
        })
        .await?;
    if has_changed {
        context.events.changed(VOCABULARY);
    }
    Ok(())
}

/// Returns of each word whether it is AssemblyAI's, and somebody accepted it as right.
fn are_accepted(said: &[SpokenWord], checks: &[Check]) -> Vec<bool> {
    let checked = Checked::of(checks);
    let is_accepted = |word: &SpokenWord| {
        !word.is_corrected() && checked.covers(word) && checks.iter().any(|check| check.accepts(word))
    };
    said.iter().map(is_accepted).collect()
}

/// Returns the terms that transcripts must get right: those of the vocabulary, and those that somebody has just corrected to,
/// without those that nobody wants.
fn wanted(terms: &[Term], lessons: &[Lesson]) -> Terms {
    let (rejected, terms): (Vec<&Term>, Vec<&Term>) = terms.iter().partition(|term| term.state == TermState::Rejected);
    let is_wanted = |text: &&TermText| !rejected.iter().any(|term| term.term.lower_case() == text.lower_case());
    let learned = lessons.iter().map(|lesson| &lesson.term).filter(is_wanted);
    Terms::new(terms.iter().map(|term| &term.term).chain(learned).map(TermText::as_str))
}

/// Counts how often terms were said and heard, where the transcript is checked by ear. Of terms with the same words, the
/// first counts.
fn counted(Evidence { heard, said, listened, .. }: &Evidence, terms: &[Term]) -> BTreeMap<TermId, Use> {
    let mut uses = BTreeMap::new();
    if listened.stretches().is_empty() {
        return uses;
    }
    let texts = |words: &[SpokenWord]| words.iter().map(|word| word.text.clone()).collect::<Vec<_>>();
    let (reference, hypothesis) = (texts(said), texts(heard));
    let [reference, hypothesis] = [&reference, &hypothesis].map(|texts| texts.iter().map(String::as_str));
    let comparison = Comparison::new(Terms::NORMALIZATION, reference, hypothesis);
    let mut ids = HashMap::new();
    for Term { id, term, .. } in terms {
        ids.entry(term.as_str()).or_insert(id);
    }
    let sought = Terms::new(terms.iter().map(|term| term.term.as_str()));
    let is_checked =
        |words: &[SpokenWord], tokens: &[Token]| tokens.iter().all(|token| listened.covers(&words[token.word]));
    for place in sought.places(&comparison) {
        let (term, is_checked, counts) = match place {
            Place::Said { term, reference, is_heard } => {
                let counts = Counts { said: 1, heard: is_heard.into(), ..Counts::default() };
                (term, is_checked(said, &comparison.reference[reference]), counts)
            }
            Place::False { term, hypothesis } => {
                let counts = Counts { heard_wrongly: 1, ..Counts::default() };
                (term, is_checked(heard, &comparison.hypothesis[hypothesis]), counts)
            }
        };
        if let Some(id) = ids.get(sought.as_slice()[term].as_str()).filter(|_| is_checked) {
            let id = TermId::clone(id);
            uses.entry(id.clone()).or_insert_with(|| Use::of(id)).counts += counts;
        }
    }
    uses
}

/// Finds the term with this text, in the narrowest scope that has it. Proposes a new one for all calls if there is
/// none, and if that is wanted.
async fn term_of(
    tx: &mut Conn,
    text: &TermText,
    scopes: &[Scope],
    learns: Learns,
    now: i64,
) -> Result<Option<TermId>, store::Error> {
    for scope in scopes {
        if let Some(same) = tx.same_term(scope, text).await? {
            return Ok(Some(same.id));
        }
    }
    // Somebody may have typed it with another hyphen, or with one letter wrong.
    if let Some(alike) = tx.proposal_like(text).await? {
        return Ok(Some(alike));
    }
    if learns == Learns::Nothing {
        return Ok(None);
    }
    let (source, state, counts) = (Source::Learned, TermState::Proposed, Counts::default());
    let (id, term, made_by) = (TermId::new(now), text.clone(), BY.to_owned());
    let new = Term { id, term, scope: Scope::All, source, state, made_at: now, made_by, counts, spelling: None };
    if tx.add_term(&new, now).await? {
        return Ok(Some(new.id));
    }
    // Another instance has just proposed the same.
    Ok(tx.same_term(&Scope::All, text).await?.map(|same| same.id))
}
