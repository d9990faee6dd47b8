//! Finding orders in AssemblyAI's list of transcripts by the URL of their audio, which no other order has.

use std::time::Duration;

use super::job::ms;
use crate::clients;
use crate::context::Context;

/// AssemblyAI's clock may be behind ours by this much. Generous: the address of the audio tells orders apart.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// The orders since then that AssemblyAI lists with this address of their audio.
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
