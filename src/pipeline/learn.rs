//! The job that learns from the corrections of a transcript: it proposes what they put right for the vocabulary, counts how
//! often each term was misheard, and measures how right the transcript was. It runs some seconds after a correction or check,
//! so that one run serves many.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::Error;
use super::job::{self, JobError, ms};
use super::measure::{figures, measures};
use crate::accuracy::{Comparison, Place, Terms, Token};
use crate::config::Learns;
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::checked::Checked;
use crate::model::correction::Sequence;
use crate::model::job::JobKind;
use crate::model::learned::{CommonWords, Lesson, lessons, typed_words};
use crate::model::replace::Replacing;
use crate::model::transcript::{OrderId, Transcript};
use crate::model::vocabulary::{Counts, Scope, Source, Term, TermId, TermState, TermText, VOCABULARY};
use crate::model::word::SpokenWord;
use crate::store::{self, Asked, Conn, Filter, Job, Misheard, Use};

/// From a correction to the run of the job.
const PAUSE: Duration = Duration::from_secs(4);

/// The language of a transcript whose order names none.
const LANGUAGE: &str = "en";

/// Who makes learned terms, for people.
const BY: &str = "corrections";

/// Opens the job for a transcript that was corrected.
pub(super) async fn open(tx: &mut Conn, order: &OrderId, now: i64) -> Result<(), store::Error> {
    tx.open_job(JobKind::Learning, order.as_str(), now + ms(PAUSE), now).await
}

pub(super) async fn run(context: &Shared, job: &Job) -> Result<(), JobError> {
    let order = &OrderId::from(job.subject.clone());
    let mut conn = context.store.read().await?;
    let Some(transcript) = &conn.transcript_by_id(order).await? else { return job::close(context, job).await };
    let heard = conn.heard_words_of(order).await?;
    let corrections = conn.corrections_of(order).await?;
    let call = match &transcript.call {
        Some(id) => conn.call(&id.clone().into()).await?,
        None => None,
    };
    let checked = Checked::of(&conn.checks_of(order).await?);
    let scopes = &call.as_ref().map_or_else(|| vec![Scope::All], Scope::of_call);
    let mut terms = Vec::new();
    for scope in scopes {
        terms.extend(conn.all_terms_of(scope).await?);
    }
    let mut sequence = Sequence::of_heard(heard.len());
    if corrections.iter().try_for_each(|correction| sequence.apply(correction)).is_none() {
        return Err(store::Error::Unreadable("corrections.spans").into());
    }
    let (corrected, mut common) = (sequence.corrected(), CommonWords::of(&language_of(transcript)));
    for word in typed_words(&corrected, &common) {
        let Ok(find) = Replacing::new(&word, "", false, true) else { continue };
        let found_in = conn.count_indexed(&Asked::new(find, Vec::new(), String::new(), &Filter::default())).await?;
        // With this transcript, whose uses may not be stored yet.
        let corrected_in = conn.corrections_to(&word).await?.max(1);
        common.add_own(&word, found_in - corrected_in, corrected_in);
    }
    drop(conn);
    // Of a long transcript, this takes a while, during which other tasks have the thread.
    let read = tokio::task::spawn_blocking(move || {
        let lessons = lessons(&heard, &corrected, &common);
        let said = sequence.words(heard.clone());
        let counted = counted(&heard, &said, &checked, &terms);
        // Somebody has just said that these are terms.
        let learned = lessons.iter().map(|lesson| lesson.term.as_str());
        let terms = Terms::new(terms.iter().map(|(_, term)| term.as_str()).chain(learned));
        let figures = figures(&heard, &said, &checked, !corrected.is_empty(), &terms);
        (lessons, counted, figures)
    });
    let (learned, counted, figures) = &read.await.map_err(|_| Error::Panicked)?;
    let learns = context.transcript.learns;
    let measures = &measures(transcript, call.as_ref(), figures);
    let has_changed = context
        .store
        .write(Commit::Learn, &format!("{order} {}", job.claim), |mut tx| async move {
            let now = context.clock.now_ms();
            // Ends the job only if no correction has come meanwhile.
            tx.end_job(job, None, now).await?;
            let is_there = tx.transcript_by_id(order).await?.is_some_and(|transcript| transcript.text.is_some());
            let mut uses = if is_there { counted.clone() } else { BTreeMap::new() };
            for lesson in learned.iter().filter(|_| is_there) {
                if let Some(term) = term_of(&mut tx, lesson, scopes, learns, now).await? {
                    let one: &mut Use = uses.entry(term.clone()).or_insert_with(|| Use::of(term));
                    one.counts.corrected += 1;
                    one.places.push(Misheard { heard: lesson.heard.clone(), at_ms: lesson.at_ms });
                }
            }
            if is_there {
                tx.put_measures(order, measures).await?;
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

/// Counts how often terms were said and heard, where the transcript is checked by ear. Of terms with the same words, the
/// first counts.
fn counted(
    heard: &[SpokenWord],
    said: &[SpokenWord],
    checked: &Checked,
    terms: &[(TermId, TermText)],
) -> BTreeMap<TermId, Use> {
    let mut uses = BTreeMap::new();
    if checked.stretches().is_empty() {
        return uses;
    }
    let texts = |words: &[SpokenWord]| words.iter().map(|word| word.text.clone()).collect::<Vec<_>>();
    let (reference, hypothesis) = (texts(said), texts(heard));
    let [reference, hypothesis] = [&reference, &hypothesis].map(|texts| texts.iter().map(String::as_str));
    let comparison = Comparison::new(Terms::NORMALIZATION, reference, hypothesis);
    let mut ids = HashMap::new();
    for (id, term) in terms {
        ids.entry(term.as_str()).or_insert(id);
    }
    let sought = Terms::new(terms.iter().map(|(_, term)| term.as_str()));
    let is_checked =
        |words: &[SpokenWord], tokens: &[Token]| tokens.iter().all(|token| checked.covers(&words[token.word]));
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

/// Finds the term that a lesson is about, in the narrowest scope that has it. Proposes a new one for all calls if there is
/// none, and if that is wanted.
async fn term_of(
    tx: &mut Conn,
    lesson: &Lesson,
    scopes: &[Scope],
    learns: Learns,
    now: i64,
) -> Result<Option<TermId>, store::Error> {
    for scope in scopes {
        if let Some(same) = tx.same_term(scope, &lesson.term).await? {
            return Ok(Some(same.id));
        }
    }
    if learns == Learns::Nothing {
        return Ok(None);
    }
    // Somebody may have typed it with another hyphen, or with one letter wrong.
    if let Some(alike) = tx.proposal_like(&lesson.term).await? {
        return Ok(Some(alike));
    }
    let (source, state, counts) = (Source::Learned, TermState::Proposed, Counts::default());
    let (id, term, made_by) = (TermId::new(now), lesson.term.clone(), BY.to_owned());
    let new = Term { id, term, scope: Scope::All, source, state, made_at: now, made_by, counts };
    if tx.add_term(&new, now).await? {
        return Ok(Some(new.id));
    }
    // Another instance has just proposed the same.
    Ok(tx.same_term(&Scope::All, &lesson.term).await?.map(|same| same.id))
}

fn language_of(transcript: &Transcript) -> String {
    let parameters: serde_json::Value = serde_json::from_str(&transcript.parameters).unwrap_or_default();
    parameters["language_code"].as_str().unwrap_or(LANGUAGE).to_owned()
}
