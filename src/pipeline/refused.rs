//! How an order goes on whose speech model AssemblyAI refuses: when it is submitted, or when AssemblyAI comes to it.

use serde_json::{Map, Value};

use super::request::models_of;
use crate::clients::assemblyai::models::{self, ModelRefusal};
use crate::context::Context;
use crate::model::transcript::{Submission, Transcript};

/// The number of speech models that AssemblyAI may refuse for one order.
pub(super) const MOST: usize = 10;

/// Whether an order may go on with other models. One of a trial must not, unless it asks for those of the settings: a trial is
/// about the models that it names.
pub(super) fn may_continue(context: &Context, transcript: &Transcript) -> bool {
    let asked = || {
        let parameters: Map<String, Value> = serde_json::from_str(&transcript.parameters).ok()?;
        models_of(&parameters)
    };
    transcript.trial.is_none() || asked().is_some_and(|asked| asked == context.transcript.speech_models)
}

/// What to submit after AssemblyAI has refused a speech model of the order, in these words: the order without it. Returns
/// `None` if the refusal is about something else, or if no model is left.
pub(super) fn next(
    context: &Context,
    words: &str,
    submission: &Submission,
    parameters: &Map<String, Value>,
) -> Option<Submission> {
    let parameters = parameters.keys().map(String::as_str);
    let ModelRefusal { refused, instead } = ModelRefusal::read(words, &submission.speech_models, parameters)?;
    let refused = [submission.refused.as_slice(), &refused].concat();
    let lists = [instead, context.transcript.speech_models.clone(), models::listed(models::DEFAULT)];
    let left = |list: Vec<String>| list.into_iter().filter(|model| !refused.contains(model)).collect::<Vec<_>>();
    let speech_models = lists.into_iter().map(left).find(|list| !list.is_empty())?;
    (refused.len() <= MOST).then(|| Submission { speech_models, refused, ..submission.clone() })
}

/// Notes for other orders that AssemblyAI refused this submission because of a speech model, if there is a next one.
/// Returns the refused models that are of the settings, to be stored.
pub(super) fn note(context: &Context, submission: &Submission, next: Option<&Submission>) -> Vec<String> {
    let Some(next) = next else { return Vec::new() };
    let refused = next.refused.strip_prefix(submission.refused.as_slice()).unwrap_or(&next.refused);
    context.models.refuse(&submission.speech_models, refused, &next.speech_models, context.clock.now_ms());
    warn(context, next);
    context.models.listed_of(&next.refused)
}

/// Says it once, and then once a minute with a count: every order may be refused.
fn warn(context: &Context, next: &Submission) {
    // Nothing of a client's but names of models.
    let names = |models: &[String]| {
        let names: Vec<&str> = models.iter().map(|model| if models::is_name(model) { model } else { "…" }).collect();
        names.join(", ")
    };
    let (refused, instead) = (names(&next.refused), names(&next.speech_models));
    if let Some(times) = context.repeats.count(format!("refused {refused}"), context.clock.now_ms()) {
        tracing::warn!(times, "AssemblyAI refused the speech model {refused}; the order continues with {instead}");
    }
}
