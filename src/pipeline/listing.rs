//! Finding orders in AssemblyAI's list of transcripts by the URL of their audio, which no other order has.

use std::time::Duration;

use super::job::ms;
use crate::clients;
use crate::context::Context;

/// How far AssemblyAI's clock may be behind ours. Generous, because the audio URL identifies the order anyway.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// Returns the transcript ids that AssemblyAI lists with this audio URL, submitted at `asked_at` or later.
pub(super) async fn with_audio(
    context: &Context,
    audio_url: &str,
    asked_at: i64,
) -> Result<Vec<String>, clients::Error> {
    let since = jiff::Timestamp::from_millisecond(asked_at - ms(SKEW)).unwrap_or_default();
    let listed = context.assemblyai.transcripts_since(since).await?;
    let of_audio = listed.into_iter().filter(|one| one.audio_url.as_deref() == Some(audio_url));
    Ok(of_audio.map(|one| one.id).collect())
}
