//! Kills the program while it sends webhooks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Json, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::check::Outcome;
use crate::support::serve;
use crate::world::World;
use crate::{DONE_WITHIN, REACHED_WITHIN};

/// The points of a delivery.
pub(crate) const DELIVERING: [&str; 4] = ["C54", "C55", "C56", "C57"];

/// The ids and types of webhooks that have arrived.
type Arrived = Arc<Mutex<Vec<(String, String)>>>;

async fn receive(State(arrived): State<Arrived>, headers: HeaderMap, Json(body): Json<Value>) -> StatusCode {
    let id = headers["webhook-id"].to_str().unwrap_or_default().to_owned();
    let event = body["type"].as_str().unwrap_or_default().to_owned();
    arrived.lock().unwrap_or_else(PoisonError::into_inner).push((id, event));
    StatusCode::NO_CONTENT
}

/// Kills the program at a point of a delivery. What was committed arrives, in order, with the id under which it may have arrived
/// before; nothing else does.
pub(crate) async fn delivering(mut world: World, point: &str, round: u32, busy: &Semaphore) -> Outcome {
    let turn = busy.acquire().await;
    let arrived = Arrived::default();
    let url = serve(Router::new().fallback(receive).with_state(Arc::clone(&arrived))).await;
    world.start(Some(format!("{point}:stop:{}", 1 + round % 2))).await;
    if let Err(error) = world.outside.post("/webhooks", &json!({"url": url})).await {
        world.violations.push(format!("no receiver is added: {}", error.without_url()));
    }
    world.outside.dial().await;
    if !world.program.as_ref().expect("a running program").stops_at(point, REACHED_WITHIN).await {
        world.violations.push("the point was not reached".to_owned());
    }
    world.kill();
    world.check_file().await;
    world.start(None).await;
    let started = Instant::now();
    let deliveries = loop {
        let listed = world.outside.json("/webhooks/deliveries").await.unwrap_or_default()["deliveries"].take();
        let deliveries = listed.as_array().cloned().unwrap_or_default();
        let is_over = deliveries.len() >= 3 && deliveries.iter().all(|delivery| delivery["state"] == "delivered");
        if is_over || started.elapsed() > DONE_WITHIN {
            break deliveries;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    };
    let mut first = Vec::new();
    for (id, event) in arrived.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        if first.iter().all(|(known, _)| known != id) {
            first.push((id.clone(), event.clone()));
        }
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let committed: Vec<_> = deliveries.iter().rev().map(|one| (text(&one["id"]), text(&one["type"]))).collect();
    if first != committed {
        world.violations.push(format!("{first:?} arrived of {committed:?}"));
    }
    let mut events: Vec<&str> = first.iter().map(|(_, event)| event.as_str()).collect();
    events.sort_unstable();
    if events != ["call.completed", "recording.completed", "transcript.completed"] {
        world.violations.push(format!("these events arrived: {events:?}"));
    }
    drop(turn);
    world.close(&BTreeMap::new()).await
}
