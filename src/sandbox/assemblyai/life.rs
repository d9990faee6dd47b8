//! The life of a transcript: queued, processing, completed or error, and the webhook at its end.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::{Value, json};

use super::super::control::Callbacks;
use super::super::pace::wait;
use super::params::{self, Order, Webhook};
use super::transcript::Transcript;
use super::{Account, AssemblyAi, Refusal, Upload};

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
    let planned_error = vendor.change(|account| {
        account.transcripts.push(&id, transcript);
        account.count_accepted(&order.audio_url);
        account.busy += 1;
        account.planned_errors.pop_front()
    });
    let living = vendor.clone();
    let life = tokio::spawn(async move {
        live(living.clone(), id, planned_error, order).await;
        living.change(|account| account.busy -= 1);
    });
    if vendor.control.callbacks() == Callbacks::Shuffled {
        // The webhook overtakes the answer. Should it have panicked, there is nothing left to wait for.
        let _ = life.await;
    }
    Ok(Json(answer))
}

impl Account {
    fn count_accepted(&mut self, audio_url: &str) {
        *self.accepted_per_audio_url.entry(audio_url.to_owned()).or_default() += 1;
        if let Some(recording) = self.uploads.get(audio_url).and_then(|upload| upload.recording.clone()) {
            *self.accepted_per_recording.entry(recording).or_default() += 1;
        }
    }

    /// The upload in which the speech is heard, otherwise the reason why nothing is.
    fn listen(&self, audio_url: &str) -> Result<Upload, String> {
        match self.uploads.get(audio_url).filter(|upload| !upload.is_lost) {
            Some(upload) if upload.is_speech => Ok(upload.clone()),
            Some(_) => {
                Err("the sandbox transcribes only the recording that its own Twilio makes; this audio is another"
                    .into())
            }
            None => Err(format!(
                "Download error, unable to download {audio_url}. Please make sure the file exists and is accessible from \
                 the internet."
            )),
        }
    }
}

async fn live(vendor: AssemblyAi, id: String, planned_error: Option<String>, order: Order) {
    let pace = vendor.inner.pace;
    wait(pace.transcript_queued).await;
    update(&vendor, &id, |transcript| transcript.set("status", "processing"));
    wait(pace.transcript_processing).await;
    // This cannot fail: `vendor` keeps the sender.
    let _ = vendor.inner.held.subscribe().wait_for(|held| !held).await;
    let heard = planned_error.map_or_else(|| vendor.account().listen(&order.audio_url), Err);
    update(&vendor, &id, |transcript| match &heard {
        Ok(upload) => transcript.complete(&order.model, upload),
        Err(error) => transcript.fail(error),
    });
    let Some(webhook) = order.webhook else { return };
    match vendor.control.callbacks() {
        Callbacks::Drop => {}
        Callbacks::Deliver | Callbacks::Shuffled => notify(&vendor, &id, &webhook).await,
        Callbacks::Twice => {
            tokio::join!(notify(&vendor, &id, &webhook), notify(&vendor, &id, &webhook));
        }
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
