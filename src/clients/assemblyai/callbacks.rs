//! What AssemblyAI posts to us. Source: <https://www.assemblyai.com/docs/deployment/webhooks>.

use serde::Deserialize;

/// A transcript is finished. This is a hint: the transcript itself says how it ended.
#[derive(Debug, Clone, Deserialize)]
pub struct TranscriptReady {
    /// Missing in the webhook for redacted audio.
    #[serde(default)]
    pub transcript_id: Option<String>,
}
