//! What the speech models take, and the upload. Sources:
//! <https://www.assemblyai.com/docs/pre-recorded-audio/keyterms-prompting>,
//! <https://www.assemblyai.com/docs/api-reference/files/upload>.

/// The most bytes in one upload.
pub const LARGEST_UPLOAD: u64 = 2_200_000_000;

/// The most words in one term of `keyterms_prompt`, for every model.
pub const KEYTERM_WORDS: usize = 6;

/// The most terms in `keyterms_prompt` for these models, and the model that sets it. Audio may be routed to any model
/// of the list, so the strictest counts.
pub fn keyterms(speech_models: &[String]) -> (usize, &str) {
    let limits = speech_models.iter().map(|model| match model.as_str() {
        "universal-2" => (200, model.as_str()),
        _ => (1_000, model.as_str()),
    });
    limits.min_by_key(|(terms, _)| *terms).unwrap_or((1_000, "AssemblyAI"))
}
