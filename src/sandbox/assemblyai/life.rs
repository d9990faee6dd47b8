//! The life of a transcript: queued, processing, completed or error, and the webhook at its end.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde_json::json;

use super::emulator::AssemblyAi;
use super::error::JsonResponse;
use super::params::{self, TranscriptParams, Webhook};
use super::transcript::Transcript;
use crate::sandbox::control::Callbacks;
use crate::sandbox::pace::wait;

const WEBHOOK_ATTEMPTS: u32 = 10;
/// Timeout of one attempt.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between a failed attempt and the next.
const WEBHOOK_PAUSE: Duration = Duration::from_secs(10);

/// Responds to `POST /v2/transcript`.
pub(super) async fn create(State(assemblyai): State<AssemblyAi>, body: Bytes) -> JsonResponse {
    let params = params::parse(&body, &assemblyai.account().retired_models)?;
    let transcript = Transcript::new(&params);
    let (id, response) = (transcript.id.clone(), transcript.json());
    let planned_error = assemblyai.change(|account| {
        account.transcripts.push(&id, transcript);
        account.count_accepted(&params.audio_url);
        account.busy += 1;
        account.planned_errors.pop_front()
    });
    let background = assemblyai.clone();
    let life = tokio::spawn(async move {
        run(&background, &id, planned_error, params).await;
        background.change(|account| account.busy -= 1);
    });
    if assemblyai.control.callbacks() == Callbacks::Shuffled {
        // The webhook must come before this response. If the task panicked, no webhook will come.
        let _ = life.await;
    }
    Ok(Json(response))
}

async fn run(assemblyai: &AssemblyAi, id: &str, planned_error: Option<String>, params: TranscriptParams) {
    let pace = assemblyai.inner.pace;
    wait(pace.transcript_queued).await;
    update(assemblyai, id, |transcript| transcript.set("status", "processing"));
    wait(pace.transcript_processing).await;
    assemblyai.wait_while_held().await;
    let upload = planned_error.map_or_else(|| assemblyai.account().transcribable(&params.audio_url), Err);
    update(assemblyai, id, |transcript| match &upload {
        Ok(upload) => transcript.complete(&params, upload),
        Err(error) => transcript.fail(error),
    });
    let Some(webhook) = params.webhook else { return };
    match assemblyai.control.callbacks() {
        Callbacks::Drop => {}
        Callbacks::Deliver | Callbacks::Shuffled => send_webhook(assemblyai, id, &webhook).await,
        Callbacks::Twice => {
            tokio::join!(send_webhook(assemblyai, id, &webhook), send_webhook(assemblyai, id, &webhook));
        }
    }
}

async fn send_webhook(assemblyai: &AssemblyAi, id: &str, webhook: &Webhook) {
    let final_status = |transcript: &mut Transcript| (!transcript.is_deleted()).then(|| transcript.status().to_owned());
    let Ok(Some(status)) = assemblyai.with_transcript(id, final_status) else { return };
    // An instant pace does not pause between attempts either.
    let pause = if assemblyai.inner.pace.transcript_processing.is_zero() { Duration::ZERO } else { WEBHOOK_PAUSE };
    for attempt in 0..WEBHOOK_ATTEMPTS {
        if attempt > 0 {
            wait(pause).await;
        }
        let body = json!({ "transcript_id": id, "status": status });
        let mut request = assemblyai.inner.http.post(webhook.url.clone()).timeout(WEBHOOK_TIMEOUT).json(&body);
        if let Some((name, value)) = &webhook.auth {
            request = request.header(name, value);
        }
        let Ok(response) = request.send().await else { continue };
        let code = response.status();
        update(assemblyai, id, |transcript| transcript.set("webhook_status_code", code.as_u16()));
        if code.is_success() || code.is_client_error() {
            return;
        }
    }
}

fn update(assemblyai: &AssemblyAi, id: &str, change: impl FnOnce(&mut Transcript)) {
    // This cannot fail: a deleted transcript stays as a stub.
    let _ = assemblyai.with_transcript(id, change);
    assemblyai.control.changed();
}
