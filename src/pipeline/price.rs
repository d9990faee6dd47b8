//! What transcripts cost, by the prices of the settings. AssemblyAI bills the seconds of the audio by the model that it used;
//! nothing that is known of its bills counts channels.

use serde_json::{Map, Value};

use crate::context::Context;
use crate::model::dollars::Dollars;
use crate::model::transcript::Transcript;

/// Prices are those of an hour.
const HOUR: f64 = 3_600.0;

/// Seconds of the longest call. What is said to be longer is not.
const LONGEST: i64 = 24 * 60 * 60;

/// Twilio's seconds may be rounded down, and AssemblyAI's up.
const ROUNDING: i64 = 1;

/// US dollars for an hour of audio that this model transcribes with these parameters. `None` if the settings have no price of
/// the model.
pub(super) fn rate(context: &Context, model: &str, parameters: &Map<String, Value>) -> Option<f64> {
    let prices = &context.transcript.prices;
    let wanted = parameters.iter().filter(|(_, value)| **value == Value::Bool(true));
    let extra: f64 = wanted.filter_map(|(name, _)| prices.get(name)).sum();
    Some(prices.get(model)? + extra)
}

/// What an order of this much audio costs at most, whichever of its models AssemblyAI uses. Audio of unknown length counts as
/// the longest call. `None` if the price of a model is not known.
pub(super) fn estimate(
    context: &Context,
    models: &[String],
    parameters: &Map<String, Value>,
    seconds: Option<i64>,
) -> Option<Dollars> {
    let seconds = seconds.unwrap_or(context.call.max_seconds.into()).clamp(0, LONGEST) + ROUNDING;
    let rates = models.iter().map(|model| rate(context, model, parameters)).collect::<Option<Vec<f64>>>()?;
    Some(Dollars::at_most(rates.into_iter().fold(0.0, f64::max) * seconds as f64 / HOUR))
}

/// What a finished transcript costs. If AssemblyAI does not say which model it used, it is the only one that was asked for.
/// `None` if that is not known, or its price.
pub(super) fn of_finished(
    context: &Context,
    transcript: &Transcript,
    model: Option<&str>,
    seconds: Option<i64>,
) -> Option<Dollars> {
    let sent = transcript.submission.as_ref().map_or(&[][..], |submission| &submission.speech_models);
    let model = match (model, sent) {
        (Some(model), _) => model,
        (None, [only]) => only,
        (None, _) => return None,
    };
    let parameters = serde_json::from_str(&transcript.parameters).unwrap_or_default();
    Some(Dollars::of(rate(context, model, &parameters)? * seconds?.clamp(0, LONGEST) as f64 / HOUR))
}
