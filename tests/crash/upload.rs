//! Kills the program while a client sends it a file in pieces.

use std::collections::BTreeMap;
use std::time::Duration;

use callscribe::sandbox::speech;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::check::Outcome;
use crate::world::{Outside, TOKEN, World};
use crate::{DONE_WITHIN, REACHED_WITHIN};

/// The points of a file that comes in pieces.
pub(crate) const SENDING: [&str; 3] = ["C51", "C52", "C53"];

/// Kills the program at a point of a file that is sent in two pieces. A client that got no answer goes on where the program
/// says. The file is ordered once, also where somebody has asked for another transcript of the same file.
pub(crate) async fn sending(mut world: World, point: &str, round: u32, busy: &Semaphore) -> Outcome {
    let turn = busy.acquire().await;
    world.start(Some(format!("{point}:stop"))).await;
    let form = if round.is_multiple_of(2) { "title=Rounds" } else { "title=Rounds&again=true" };
    let path = begin(&world.outside, form).await.unwrap_or_default();
    let (outside, of) = (world.outside.clone(), path.clone());
    let sending = tokio::spawn(async move { send_rest(&outside, &of).await });
    if !world.program.as_ref().expect("a running program").stops_at(point, REACHED_WITHIN).await {
        world.violations.push("the point was not reached".to_owned());
    }
    world.kill();
    sending.abort();
    world.check_file().await;
    world.start(None).await;
    let started = Instant::now();
    let items = loop {
        _ = send_rest(&world.outside, &path).await;
        let file = world.outside.json(&path).await.unwrap_or_default();
        let items = world.outside.json("/items").await.unwrap_or_default()["items"].take();
        let is_over = file["state"] == "ordered" && items[0]["progress"] == "done";
        if is_over || started.elapsed() > DONE_WITHIN {
            break items;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    };
    let seen = [&items[0]["title"], &items[0]["progress"], &items[1]];
    if seen != [&json!("Rounds"), &json!("done"), &Value::Null] {
        world.violations.push(format!("the file is here as {items}"));
    }
    let orders: u64 = world.assemblyai.accepted_per_audio_url().values().sum();
    if orders != 1 {
        world.violations.push(format!("AssemblyAI has accepted {orders} orders of one file"));
    }
    drop(turn);
    world.close(&BTreeMap::new()).await
}

/// Begins a file. Returns its address.
async fn begin(outside: &Outside, form: &'static str) -> Option<String> {
    let url = format!("{}/uploads", outside.base);
    let request = outside.http.post(url).bearer_auth(TOKEN).header("tus-resumable", "1.0.0");
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
    let begun = request.header("upload-length", speech::WAV.len()).send().await.ok()?;
    Some(begun.headers().get("location")?.to_str().ok()?.to_owned())
}

/// Sends what the program lacks of a file, in two pieces.
async fn send_rest(outside: &Outside, path: &str) -> Result<(), reqwest::Error> {
    for end in [speech::WAV.len() / 2, speech::WAV.len()] {
        let request = |method| {
            let request = outside.http.request(method, format!("{}{path}", outside.base)).bearer_auth(TOKEN);
            request.header("tus-resumable", "1.0.0").timeout(REACHED_WITHIN)
        };
        let received = offset(&request(Method::HEAD).send().await?).unwrap_or(end);
        if received < end {
            let piece = request(Method::PATCH).header("upload-offset", received).body(&speech::WAV[received..end]);
            piece.header("content-type", "application/offset+octet-stream").send().await?;
        }
    }
    Ok(())
}

fn offset(answer: &Response) -> Option<usize> {
    answer.headers().get("upload-offset")?.to_str().ok()?.parse().ok()
}
