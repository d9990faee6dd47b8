//! The life of a transcript: queued, processing, completed or error, and the webhook at its end.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};

use super::super::pace::wait;
use super::super::speech;
use super::params::{self, Webhook};
use super::transcript::Transcript;
use super::{Account, AssemblyAi, Refusal};

/// How often a webhook is tried.
const WEBHOOK_ATTEMPTS: u32 = 10;
/// How long a webhook may take.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long after a failed attempt the next one is made.
const WEBHOOK_GAP: Duration = Duration::from_secs(10);

pub(super) async fn create(State(vendor): State<AssemblyAi>, body: Bytes) -> Result<Json<Value>, Refusal> {
    let order = params::check(&body)?;
    let transcript = Transcript::new(&order);
    let (id, answer) = (transcript.id.clone(), transcript.answer());
    let heard = vendor.change(|account| {
        account.transcripts.push(transcript);
        account.planned_errors.pop_front().map_or_else(|| listen(account, &order.audio_url), Err)
    });
    tokio::spawn(live(vendor, id, heard, order.model, order.webhook));
    Ok(Json(answer))
}

/// The number of channels if the speech is heard there, otherwise the reason why nothing is.
fn listen(account: &Account, audio_url: &str) -> Result<u8, String> {
    match account.uploads.iter().find(|upload| upload.upload_url == audio_url) {
        Some(upload) => speech::channels(&upload.sha256).ok_or_else(|| {
            "the sandbox transcribes only the recording that its own Twilio makes; this audio is another".into()
        }),
        None => Err(format!(
            "Download error, unable to download {audio_url}. Please make sure the file exists and is accessible from \
             the internet."
        )),
    }
}

async fn live(vendor: AssemblyAi, id: String, heard: Result<u8, String>, model: String, webhook: Option<Webhook>) {
    let pace = vendor.inner.pace;
    wait(pace.transcript_queued).await;
    update(&vendor, &id, |transcript| transcript.set("status", "processing"));
    wait(pace.transcript_processing).await;
    // This cannot fail: `vendor` keeps the sender.
    let _ = vendor.inner.held.subscribe().wait_for(|held| !held).await;
    update(&vendor, &id, |transcript| match &heard {
        Ok(channels) => transcript.complete(&model, *channels),
        Err(error) => transcript.fail(error),
    });
    if let Some(webhook) = webhook {
        notify(&vendor, &id, &webhook).await;
    }
}

async fn notify(vendor: &AssemblyAi, id: &str, webhook: &Webhook) {
    let final_status = |transcript: &mut Transcript| (!transcript.is_deleted()).then(|| transcript.status().to_owned());
    let Ok(Some(status)) = vendor.with(id, final_status) else { return };
    // Who wants no delay in the work wants none here either.
    let gap = if vendor.inner.pace.transcript_processing.is_zero() { Duration::ZERO } else { WEBHOOK_GAP };
    for attempt in 0..WEBHOOK_ATTEMPTS {
        if attempt > 0 {
            wait(gap).await;
        }
        let body = json!({ "transcript_id": id, "status": status });
        let mut request = vendor.inner.http.post(webhook.url.clone()).timeout(WEBHOOK_TIMEOUT).json(&body);
        if let Some((name, value)) = &webhook.auth {
            request = request.header(name, value);
        }
        let Ok(response) = request.send().await else { continue };
        let code = response.status();
        update(vendor, id, |transcript| transcript.set("webhook_status_code", code.as_u16()));
        if code.is_success() || code.is_client_error() {
            return;
        }
    }
}

/// Transcripts are never removed, so there is always one to update.
fn update(vendor: &AssemblyAi, id: &str, change: impl FnOnce(&mut Transcript)) {
    let _ = vendor.with(id, change);
    vendor.control.changed();
}
