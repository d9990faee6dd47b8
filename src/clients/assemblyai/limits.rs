//! Limits of the speech models and of the upload. Sources:
//! <https://www.assemblyai.com/docs/pre-recorded-audio/keyterms-prompting>,
//! <https://www.assemblyai.com/docs/api-reference/files/upload>.

/// Maximum size of an upload in bytes.
pub const LARGEST_UPLOAD: u64 = 2_200_000_000;

/// Maximum number of words in a term of `keyterms_prompt`, for every model.
pub const KEYTERM_WORDS: usize = 6;

/// Returns the maximum number of terms in `keyterms_prompt` and the model that sets it. AssemblyAI may route audio to any
/// listed model, so the strictest one counts.
pub fn keyterms(speech_models: &[String]) -> (usize, &str) {
    let limits = speech_models.iter().map(|model| match model.as_str() {
        "universal-2" => (200, model.as_str()),
        _ => (1_000, model.as_str()),
    });
    limits.min_by_key(|(terms, _)| *terms).unwrap_or((1_000, "AssemblyAI"))
}
