//! The yardstick: a minimal axum server for the same requests. It checks signatures with the program's own function, and
//! stores each callback with one INSERT into a SQLite file that is as durable as the program's.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::routing::{get, post};
use callscribe::internals::signature::{self, Algorithm, Param};
use callscribe::sandbox::twilio;
use url::form_urlencoded;

use crate::client::PUBLIC;
use crate::process::ANSWER;

const TWIML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Say>Ahoy! Call recording starts now.</Say>\
                     <Record timeout=\"5\" maxLength=\"3600\"/><Hangup/></Response>";

/// Serves at this address, with its SQLite file in this folder, until the process is killed.
pub(crate) async fn serve(address: SocketAddr, folder: &Path) {
    let database = rusqlite::Connection::open(folder.join("bare.db")).expect("a database");
    let tables = "PRAGMA journal_mode = wal; PRAGMA synchronous = full;
                  CREATE TABLE callbacks (sid TEXT PRIMARY KEY, form TEXT)";
    database.execute_batch(tables).expect("a table");
    let answer = read_answer(&std::fs::read_to_string(folder.join(ANSWER)).expect("a file"));
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/record/", post(greet))
        .route("/answer", post(move || async move { answer }))
        .route("/hooks/twilio/recording", post(store))
        .with_state(Arc::new(Mutex::new(database)));
    let listener = tokio::net::TcpListener::bind(address).await.expect("a free port");
    axum::serve(listener, router).await.expect("a server");
}

/// Headers and body of a response, without the headers that the server adds.
fn read_answer(answer: &str) -> (HeaderMap, Bytes) {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").expect("a header");
        let value = HeaderValue::from_str(value).expect("a header's value");
        (HeaderName::from_bytes(name.as_bytes()).expect("a header's name"), value)
    };
    let headers = head.lines().skip(1).map(header);
    let headers = headers.filter(|(name, _)| ![header::DATE, header::CONTENT_LENGTH].contains(name)).collect();
    (headers, Bytes::from(body.to_owned()))
}

/// Returns the form if its signature is valid.
fn signed(uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Vec<Param>, StatusCode> {
    let signature = headers.get(signature::HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let params: Vec<Param> = form_urlencoded::parse(body).into_owned().collect();
    let url = format!("{PUBLIC}{uri}");
    let is_signed = signature::verify(Algorithm::HmacSha1, twilio::AUTH_TOKEN, &url, &params, signature);
    if is_signed { Ok(params) } else { Err(StatusCode::FORBIDDEN) }
}

async fn greet(uri: Uri, headers: HeaderMap, body: Bytes) -> Result<&'static str, StatusCode> {
    signed(&uri, &headers, &body).map(|_| TWIML)
}

async fn store(
    State(database): State<Arc<Mutex<rusqlite::Connection>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, StatusCode> {
    let params = signed(&uri, &headers, &body)?;
    let sid = params.iter().find(|(name, _)| name == "RecordingSid").ok_or(StatusCode::BAD_REQUEST)?;
    let form = String::from_utf8_lossy(&body).into_owned();
    let row = (sid.1.clone(), form);
    let insert = move || {
        let database = database.lock().unwrap_or_else(PoisonError::into_inner);
        database.prepare_cached("INSERT INTO callbacks (sid, form) VALUES ($1, $2)")?.execute(row)
    };
    let inserted = tokio::task::spawn_blocking(insert).await;
    inserted.ok().and_then(Result::ok).ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(StatusCode::NO_CONTENT)
}
