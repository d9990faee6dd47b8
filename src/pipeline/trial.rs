//! The job of a trial: it measures each transcript when it is finished, and again when its reference has changed; and it makes
//! those transcripts current that somebody has chosen. The orders have jobs of their own.

use std::collections::{BTreeMap, BTreeSet};

use super::Error;
use super::corrections::{Step, choose_to_end};
use super::job::{self, JobError, Next};
use super::measure::{self, Evidence, Figures, channel_of};
use crate::accuracy::Terms;
use crate::accuracy::resample::Share;
use crate::context::Shared;
use crate::failpoint::Commit;
use crate::model::blind::BlindCheck;
use crate::model::call::CallName;
use crate::model::checked::Checked;
use crate::model::correction::Sequence;
use crate::model::measure::Reference;
use crate::model::transcript::TranscriptState;
use crate::model::trial::TrialId;
use crate::model::vocabulary::{Scope, TermState};
use crate::model::word::SpokenWord;
use crate::store::{self, Choosing, Conn, Job, Trial, TrialFigure, TrialRecording, Unmeasured};

/// Recordings that are looked for at once.
const BATCH: i64 = 50;

pub(super) async fn run(context: &Shared, job: &Job) -> Result<(), JobError> {
    let id: TrialId = job.subject.parse().map_err(|_| store::Error::Unreadable("jobs.subject"))?;
    let Some(trial) = context.store.read().await?.trial(&id).await? else { return job::close(context, job).await };
    loop {
        let unmeasured = context.store.read().await?.unmeasured(&id, BATCH).await?;
        if unmeasured.is_empty() {
            break;
        }
        for of in unmeasured {
            measure(context, &trial, &of).await?;
            if context.stopping.is_cancelled() {
                return Err(released());
            }
        }
    }
    if let Some(choosing) = &trial.choosing {
        choose(context, &id, choosing).await?;
    }
    job::close(context, job).await?;
    context.events.changed(id.as_str());
    Ok(())
}

/// Makes the chosen transcripts the current ones of their recordings. Each is one step, which is taken once however often the
/// job begins again.
async fn choose(context: &Shared, id: &TrialId, choosing: &Choosing) -> Result<(), JobError> {
    loop {
        let unchosen = context.store.read().await?.unchosen(id, choosing, BATCH).await?;
        if unchosen.is_empty() {
            return Ok(());
        }
        for (of, target) in &unchosen {
            let mut is_current = false;
            if let Some(target) = target {
                let key = format!("trial {id} {}", choosing.number);
                match choose_to_end(context, target, Step::with_key(target, &key, choosing.by.clone())).await {
                    Ok(_) => is_current = true,
                    // Deleted meanwhile.
                    Err(Error::Deleted | Error::NoSuchTranscript(_) | Error::NotCompleted { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            let subject = format!("{id} {} {}", of.recording, choosing.number);
            let advanced = context.store.write_unsynced(Commit::AdvanceChoosing, &subject, |mut tx| async move {
                tx.mark_chosen(id, of, choosing, is_current, context.clock.now_ms()).await?;
                Ok((tx, ()))
            });
            advanced.await?;
            if context.stopping.is_cancelled() {
                return Err(released());
            }
        }
        context.events.changed(id.as_str());
    }
}

/// The program stops: the job goes on after the next start.
fn released() -> JobError {
    JobError { error: Error::Stopping, next: Next::Release }
}

/// What people say was said in a recording, and what each transcript has of it.
#[derive(Debug)]
pub(super) struct Texts {
    pub(super) said: Vec<SpokenWord>,
    /// The stretches that somebody listened to.
    pub(super) listened: Checked,
    is_corrected: bool,
    blind: Vec<BlindCheck>,
    /// Each with the position of its arm; `None` is what there was before.
    pub(super) heard: Vec<(Option<usize>, Vec<SpokenWord>)>,
}

impl Texts {
    /// Reads the words of the completed transcripts of a recording.
    pub(super) async fn read(conn: &mut Conn, trial: &TrialId, of: &TrialRecording) -> Result<Self, store::Error> {
        let heard = conn.heard_words_of(&of.baseline).await?;
        let (checks, blind) = (conn.checks_of(&of.baseline).await?, conn.blind_checks_of(&of.baseline).await?);
        let mut sequence = Sequence::of_heard(heard.len());
        let corrections = conn.corrections_of(&of.baseline).await?;
        corrections
            .iter()
            .try_for_each(|one| sequence.apply(one))
            .ok_or(store::Error::Unreadable("corrections.spans"))?;
        let is_corrected = !sequence.corrected().is_empty();
        let said = sequence.words(heard.clone());
        let listened = Checked::listened(&checks, &said);
        let mut all = vec![(None, heard)];
        for order in conn.trial_orders(trial, &of.recording).await? {
            if order.state == TranscriptState::Completed {
                all.push((Some(order.arm), conn.heard_words_of(&order.order).await?));
            }
        }
        Ok(Self { said, listened, is_corrected, blind, heard: all })
    }

    /// Measures each transcript against each kind of reference.
    fn figures(self, of: &TrialRecording, terms: &Terms) -> Vec<TrialFigure> {
        let Self { said, listened, is_corrected, blind, heard } = self;
        let mut figures = Vec::new();
        for (arm, heard) in heard {
            let mut evidence =
                Evidence { heard, said: said.clone(), is_corrected, listened: listened.clone(), blind: blind.clone() };
            // Where only one of the two tells channels apart, they are compared as a whole.
            if tells_apart(&evidence.heard) != tells_apart(&evidence.said) {
                evidence.heard.iter_mut().chain(&mut evidence.said).for_each(|word| word.channel = None);
                evidence.blind.clear();
            }
            let mut sums: BTreeMap<Reference, Figures> = BTreeMap::new();
            for ((_, reference), one) in measure::figures(&evidence, terms) {
                sums.entry(reference).or_default().add(&one);
            }
            figures.extend(sums.into_iter().map(|(reference, sum)| TrialFigure {
                recording: of.recording.to_string(),
                call: of.call.to_string(),
                arm,
                reference,
                edits: sum.edits,
                characters: Share { part: sum.characters.errors(), whole: sum.characters.words() },
                terms: sum.terms,
            }));
        }
        figures
    }
}

/// Whether words have channels.
fn tells_apart(words: &[SpokenWord]) -> bool {
    words.iter().any(|word| !channel_of(word).is_empty())
}

async fn measure(context: &Shared, trial: &Trial, of: &Unmeasured) -> Result<(), Error> {
    let mut conn = context.store.read().await?;
    let texts = Texts::read(&mut conn, &trial.id, &of.recording).await?;
    let call = conn.call(&CallName::Id(of.recording.call.clone())).await?;
    // Of all arms the same, so that they can be compared.
    let mut terms: BTreeSet<String> = trial.arms.iter().filter_map(|arm| arm.keyterms.clone()).flatten().collect();
    for scope in call.as_ref().map_or_else(|| vec![Scope::All], Scope::of_call) {
        let of_scope = conn.all_terms_of(&scope).await?.into_iter();
        terms.extend(of_scope.filter(|term| term.state != TermState::Rejected).map(|term| term.term.to_string()));
    }
    drop(conn);
    let recording = of.recording.clone();
    // Of a long transcript, this takes a while, during which other tasks have the thread.
    let measured = tokio::task::spawn_blocking(move || texts.figures(&recording, &Terms::new(terms)));
    let figures = &measured.await.map_err(|_| Error::Panicked)?;
    let subject = format!("{} {} {}", trial.id, of.recording.recording, of.basis);
    let stored = context.store.write_unsynced(Commit::MeasureTrial, &subject, |mut tx| async move {
        tx.put_trial_figures(&trial.id, of, figures, context.clock.now_ms()).await?;
        Ok((tx, ()))
    });
    stored.await?;
    context.events.changed(trial.id.as_str());
    Ok(())
}
