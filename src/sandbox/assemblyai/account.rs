//! The emulated account: uploads, transcripts and counts, as plain data.

use std::collections::{HashMap, VecDeque};

use super::transcript::Transcript;
use super::upload::Upload;
use crate::sandbox::ordered_map::OrderedMap;

#[derive(Default)]
pub(super) struct Account {
    /// By upload URL.
    pub(super) uploads: OrderedMap<Upload>,
    pub(super) transcripts: OrderedMap<Transcript>,
    pub(super) retired_models: Vec<String>,
    /// Errors of the next transcripts.
    pub(super) planned_errors: VecDeque<String>,
    /// Transcripts that are not finished; the last step is the webhook.
    pub(super) busy: usize,
    pub(super) accepted_per_audio_url: HashMap<String, u64>,
    pub(super) accepted_per_recording: HashMap<String, u64>,
}

impl Account {
    pub(super) fn count_accepted(&mut self, audio_url: &str) {
        *self.accepted_per_audio_url.entry(audio_url.to_owned()).or_default() += 1;
        if let Some(recording) = self.uploads.get(audio_url).and_then(|upload| upload.recording.clone()) {
            *self.accepted_per_recording.entry(recording).or_default() += 1;
        }
    }

    /// Returns the upload of the speech at this URL, or the error of a transcript of anything else.
    pub(super) fn transcribable(&self, audio_url: &str) -> Result<Upload, String> {
        match self.uploads.get(audio_url).filter(|upload| !upload.is_lost) {
            Some(upload) if upload.is_speech => Ok(upload.clone()),
            Some(_) => Err(
                "the sandbox transcribes only speech of its own Twilio: this is other audio, or the line was too bad"
                    .into(),
            ),
            None => Err(format!(
                "Download error, unable to download {audio_url}. Please make sure the file exists and is accessible from \
                 the internet."
            )),
        }
    }
}
