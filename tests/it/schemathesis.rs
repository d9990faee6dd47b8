//! `/openapi.json` against the running program: schemathesis asks every operation, with data that the document allows and with
//! data that it does not, and finds no difference. What it leaves out is in `schemathesis.toml`, each with its reason.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::World;
use crate::vendor_clients::test_python;

/// What is there, by the parameters of paths that name it.
async fn ids(world: &World) -> Value {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let (call, recording) = world.recorded_call().await;
    world.settle().await;
    let shown = world.call(&call).await;
    let transcript = text(&shown["transcripts"][0]["id"]);
    world.post_json("/webhooks", &json!({ "url": "https://example.com/callscribe" })).await;
    let edit = json!({ "version": 0, "from": 0, "to": 1, "text": "Ahoy" });
    let corrected = world.post_json(&format!("/transcript/{transcript}/corrections"), &edit).await.json();
    let delivery = world.get("/webhooks/deliveries").await.json()["deliveries"][0]["id"].take();
    let term = world.post_json("/vocabulary", &json!({ "term": "tacrolimus" })).await.json();
    world.post_json("/contacts", &json!({ "number": "+14155550199", "name": "Ada Lovelace" })).await;
    let replaced = json!({ "find": "ahoy", "with": "Ahoy", "case": true, "filter": {}, "apply": true });
    let replacement = world.post_json("/replace", &replaced).await.json();
    let trial = json!({ "calls": [call], "speech_models": ["universal-2"], "confirm": true });
    let trial = world.post_json("/trials", &trial).await.json();
    let import = world.post_json("/imports", &json!({ "since": "2026-01-01", "confirm": true })).await.json();
    let token = world.post_json("/tokens", &json!({ "name": "reports", "rights": ["read"] })).await.json();
    let tus = [("tus-resumable", "1.0.0"), ("upload-length", "9")];
    let upload = world.send(Method::POST, "/uploads", &tus, "").await;
    let upload = upload.header("location").rsplit('/').next().expect("an id").to_owned();
    // The limits of dialing begin once more.
    world.clock.advance(Duration::from_secs(3_600));
    json!({
        "{call}": call, "CA…": call, "/get-recording-url/{sid}": call,
        "/recordings/{file}": format!("{recording}.wav"), "RE…": recording,
        "/transcript/{id}": transcript, "/transcript/{id}/compare/{other}": transcript,
        "/transcript/{id}/corrections/{correction}": corrected["correction"],
        "/contacts/{number}": "+14155550199", "/vocabulary/{id}": term["id"],
        "/webhooks/deliveries/{id}": delivery, "/webhooks/{id}": "1", "/tokens/{id}": token["id"],
        "/replace/{id}": replacement["id"], "/trials/{id}": trial["id"], "/imports/{id}": import["id"],
        "/uploads/{id}": upload, "/help/{file}": "routes",
    })
}

/// What may be deleted, so that the rest stays there.
async fn doomed(world: &World) -> Value {
    let (call, _) = world.recorded_call().await;
    let number = "+14155550198";
    world.post_json("/contacts", &json!({ "number": number, "name": "Charles" })).await;
    let term = world.post_json("/vocabulary", &json!({ "term": "ondansetron" })).await.json();
    let token = world.post_json("/tokens", &json!({ "name": "old", "rights": ["read"] })).await.json();
    world.post_json("/webhooks", &json!({ "url": "https://example.com/old" })).await;
    json!({
        "{call}": call, "{number}": number, "/vocabulary/{id}": term["id"], "/tokens/{id}": token["id"],
        "/webhooks/{id}": "2",
    })
}

#[tokio::test]
async fn schemathesis_finds_no_difference() {
    let Some(python) = test_python() else { return };
    let world = World::new().await;
    let ids = ids(&world).await;
    let given = json!({ "base": world.base, "ids": ids, "doomed": doomed(&world).await });
    let mut command = Command::new(python);
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/api.py"))
        .env_clear()
        .envs([("NO_PROXY", "*"), ("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUTF8", "1"), ("PYTHONHASHSEED", "0")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let running = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("a Python that starts");
        child.stdin.take().expect("a pipe").write_all(given.to_string().as_bytes()).expect("api.py reads its input");
        child.wait_with_output().expect("an exit")
    });
    let output = running.await.expect("a thread that does not panic");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    println!("{said}");
}
