//! The REST API: authentication and routes, and the responses that need no file of their own.

use axum::extract::{Path, Query, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt;
use serde_json::json;
use tokio::net::TcpListener;

use super::emulator::AssemblyAi;
use super::error::{ErrorResponse, JsonResponse, bad_request};
use super::{export, life, list, upload};
use crate::sandbox::control::intercept;
use crate::sandbox::pace::Pace;

/// The only API key. Like the audio it is public, and only the sandbox accepts it.
pub const API_KEY: &str = "sandbox-assemblyai-key";

impl AssemblyAi {
    /// Starts an emulated AssemblyAI that serves on this listener until the runtime ends.
    pub fn start(listener: TcpListener, pace: Pace) -> Self {
        let address = listener.local_addr().expect("a bound listener has an address");
        let assemblyai = Self::new(format!("http://{address}"), pace);
        let router = router(assemblyai.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        assemblyai
    }
}

fn router(assemblyai: AssemblyAi) -> Router {
    let method_not_allowed = || async { ErrorResponse::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed") };
    Router::new()
        .route(upload::PATH, post(receive_upload))
        .route("/v2/transcript", post(life::create).get(list::page))
        .route("/v2/transcript/{id}", get(show).delete(delete))
        .route("/v2/transcript/{id}/srt", get(export::srt))
        .route("/v2/transcript/{id}/vtt", get(export::vtt))
        .route("/v2/transcript/{id}/sentences", get(export::sentences))
        .route("/v2/transcript/{id}/paragraphs", get(export::paragraphs))
        .route("/v2/transcript/{id}/word-search", get(export::word_search))
        .route("/v2/transcript/{id}/redacted-audio", get(redacted_audio))
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(middleware::from_fn(check_query))
        .route_layer(middleware::from_fn(check_key))
        .fallback(|| async { ErrorResponse::new(StatusCode::NOT_FOUND, "Not found") })
        .layer(middleware::from_fn_with_state(assemblyai.control.clone(), intercept))
        .with_state(assemblyai)
}

async fn check_key(request: Request, next: Next) -> Response {
    if request.headers().get(header::AUTHORIZATION).is_some_and(|key| key == API_KEY) {
        return next.run(request).await;
    }
    let error = "Authentication error, API token missing/invalid";
    refuse(request, ErrorResponse::new(StatusCode::UNAUTHORIZED, error)).await
}

/// Reads the body first: with audio left unread, the connection may be reset before the client has read the response.
async fn refuse(request: Request, error: ErrorResponse) -> Response {
    request.into_body().into_data_stream().for_each(|_| std::future::ready(())).await;
    error.into_response()
}

/// Refuses a parameter in a query that would be ignored.
async fn check_query(Query(query): Query<Vec<(String, String)>>, request: Request, next: Next) -> Response {
    let known: &[&str] = match request.uri().path().rsplit('/').next() {
        Some("transcript") if request.method() == Method::GET => {
            &["limit", "status", "created_on", "before_id", "after_id", "throttled_only"]
        }
        Some("srt" | "vtt") => &["chars_per_caption"],
        Some("word-search") => &["words"],
        _ => &[],
    };
    match query.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) => {
            let error = format!("The sandbox does not support the parameter \"{name}\" here");
            refuse(request, bad_request(error)).await
        }
        None => next.run(request).await,
    }
}

async fn redacted_audio(State(assemblyai): State<AssemblyAi>, Path(id): Path<String>) -> JsonResponse {
    assemblyai.with_transcript(&id, |_| ())?;
    Err(bad_request("The sandbox does not redact audio"))
}

async fn receive_upload(State(assemblyai): State<AssemblyAi>, request: Request) -> JsonResponse {
    let upload = upload::receive(assemblyai.url(), request.into_body()).await?;
    let response = Json(json!({ "upload_url": upload.upload_url }));
    assemblyai.change(|account| account.uploads.push(&upload.upload_url.clone(), upload));
    Ok(response)
}

async fn show(State(assemblyai): State<AssemblyAi>, Path(id): Path<String>) -> JsonResponse {
    assemblyai.with_transcript(&id, |transcript| Json(transcript.json()))
}

/// Deletes a transcript and, as AssemblyAI does, the upload that it was made from.
async fn delete(State(assemblyai): State<AssemblyAi>, Path(id): Path<String>) -> JsonResponse {
    let (audio_url, response) = assemblyai.with_transcript(&id, |transcript| {
        let audio_url = transcript.field("audio_url").as_str().map(str::to_owned);
        transcript.delete();
        (audio_url, Json(transcript.json()))
    })?;
    assemblyai.change(|account| {
        if let Some(upload) = audio_url.and_then(|url| account.uploads.get_mut(&url)) {
            upload.is_lost = true;
        }
    });
    Ok(response)
}
