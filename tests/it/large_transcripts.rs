//! Transcripts so large, or so odd, that a program that builds all of what is in them would run out of memory.

use std::fmt::Write as _;
use std::time::Duration;

use callscribe::sandbox::control::Fault;
use reqwest::Method;
use serde_json::{Value, json};
#[cfg(target_os = "linux")]
use {crate::support::client, crate::support::measured::Measured, futures_util::future::join_all};

use crate::support::{World, fail_step};

/// A finished transcript with this list of words.
fn transcript(id: &str, words: &str) -> String {
    format!(r#"{{"id": "{id}", "status": "completed", "text": "Ahoy!", "words": {words}}}"#)
}

/// A list of this many words, as AssemblyAI writes them.
fn real_words(count: u32) -> String {
    let mut list = String::from("[");
    for n in 0..count {
        let (comma, start) = (if n == 0 { "" } else { ", " }, n * 350);
        let random = n.wrapping_mul(2_654_435_761) >> 12;
        let (end, confidence) = (start + 100 + random % 200, 0.7 + f64::from(random % 30_000) / 1e5);
        _ = write!(
            list,
            r#"{comma}{{"text": "word{}", "start": {start}, "end": {end}, "confidence": {confidence:.5}, "speaker": "A"}}"#,
            random % 5_000
        );
    }
    list + "]"
}

/// Hexadecimal digits that hardly deflate, this many.
#[cfg(target_os = "linux")]
fn noise(length: u64) -> String {
    let random = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (0..length / 8).map(|n| format!("{:08x}", random(n) >> 32)).collect()
}

/// Orders a transcript, which AssemblyAI does not finish. Returns its id.
#[cfg(target_os = "linux")]
async fn ordered(measured: &Measured, audio: usize) -> String {
    let request = json!({ "audio_url": format!("https://example.com/{audio}.wav") });
    let answer = client().post(&measured.url).json(&request).send().await.expect("an answer");
    let answer: Value = answer.json().await.expect("JSON");
    answer["id"].as_str().expect("an id").to_owned()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_transcript_takes_a_few_times_the_memory_of_its_text_whatever_is_in_it() {
    let measured = Measured::start().await;
    measured.assemblyai.hold();
    fetch(&measured, &ordered(&measured, 0).await, &real_words(4_000), "json").await;
    for (number, words) in [
        format!("[{}{{}}]", r#"{"new": [{}, {}, {}]},"#.repeat(200_000)),
        format!(r#"[{{"text": [{}[]]}}]"#, "[],".repeat(700_000)),
        format!(r#"[{{"speaker": {{"a": [{}{{}}]}}}}]"#, "{},".repeat(700_000)),
        format!(r#"[], "utterances": [{}null]"#, r#"[null, {"a": 1}],"#.repeat(120_000)),
        format!("[{}{{}}]", r#"{"text":"a"},"#.repeat(150_000)),
        real_words(20_000),
    ]
    .into_iter()
    .enumerate()
    {
        let id = ordered(&measured, number + 1).await;
        let before = measured.usage();
        assert_eq!(fetch(&measured, &id, &words, "text").await, (200, "Ahoy!\n".to_owned()));
        let (status, kept) = read(&measured, &id, "json").await;
        assert!(status == 200 && kept == transcript(&id, &words), "{number}: the JSON is not kept as it came");
        let (growth, length) = (measured.growth(&before), kept.len() as u64);
        println!("{number}: {length} bytes need {growth}");
        assert!(growth < 4 * length, "{number}: {length} bytes needed {growth}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn of_large_transcripts_that_come_at_once_one_is_in_memory() {
    const AT_ONCE: usize = 16;
    /// Bytes of memory for one of text: one at a time they need 10 to 13, all at once 19 to 22.
    const MOST: u64 = 16;

    let measured = Measured::start().await;
    measured.assemblyai.hold();
    // What waits for its turn is deflated, so only noise is large there.
    let words = format!(r#"[], "noise": "{}""#, noise(4_000_000));
    let first = ordered(&measured, 0).await;
    fetch(&measured, &first, &words, "text").await;
    let ids = join_all((1..=AT_ONCE).map(|audio| ordered(&measured, audio))).await;
    let before = measured.usage();
    let fetched = join_all(ids.iter().map(|id| fetch(&measured, id, &words, "text"))).await;
    assert!(fetched.iter().all(|(status, text)| *status == 200 && text == "Ahoy!\n"));
    let growth = measured.growth(&before);
    println!("{AT_ONCE} transcripts of {} bytes need {growth}", words.len());
    assert!(growth < MOST * words.len() as u64, "{AT_ONCE} transcripts of {} bytes needed {growth}", words.len());
}

#[tokio::test]
async fn of_large_transcripts_one_is_read_at_a_time_and_small_ones_need_not_wait() {
    let world = World::new().await;
    let small = format!("/transcript/{}?format=srt", recorded(&world, &real_words(10)).await.0);
    let mut large = Vec::new();
    for words in [real_words(6_000), format!("[{}{{}}]", r#"{"text":"a"},"#.repeat(60_000))] {
        let (id, sid) = recorded(&world, &words).await;
        large.extend(["text", "srt", "vtt", "words"].map(|format| format!("/transcript/{id}?format={format}")));
        large.push(format!("/calls/{sid}"));
    }
    let turn = world.app.turn_to_read().await;
    let mut waiting = Vec::new();
    for path in &large {
        let mut answer = Box::pin(world.get_with(path, &[("accept", "text/html, text/plain")]));
        // Long enough for a large one that does not wait.
        for _ in 0..100 {
            tokio::select! {
                biased;
                answer = &mut answer => panic!("{path} did not wait, and answered {}", answer.status),
                answer = world.get(&small) => assert_eq!(answer.status, 200),
            }
        }
        waiting.push(answer);
    }
    drop(turn);
    for (answer, path) in waiting.into_iter().zip(&large) {
        assert_eq!(answer.await.status, 200, "{path}");
    }
}

/// Returns the id of a transcript of these words, which is read for the first time, and the SID of its call.
async fn recorded(world: &World, words: &str) -> (String, String) {
    world.assemblyai.hold();
    let (sid, _) = world.recorded_call().await;
    world.settle().await;
    let id = world.call(&sid).await["transcripts"][0]["id"].as_str().expect("an id").to_owned();
    world.assemblyai.control.fail_next(Method::GET, &id, Fault::wrong_body(transcript(&id, words)));
    assert_eq!(world.get(&format!("/transcript/{id}")).await.status, 200);
    (id, sid)
}

/// Lets AssemblyAI answer with these words, and reads the transcript for the first time.
#[cfg(target_os = "linux")]
async fn fetch(measured: &Measured, id: &str, words: &str, format: &str) -> (u16, String) {
    measured.assemblyai.control.fail_next(Method::GET, id, Fault::wrong_body(transcript(id, words)));
    read(measured, id, format).await
}

#[cfg(target_os = "linux")]
async fn read(measured: &Measured, id: &str, format: &str) -> (u16, String) {
    let base = measured.url.trim_end_matches("/transcribe");
    let answer = client().get(format!("{base}/transcript/{id}?format={format}")).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a whole body"))
}

#[tokio::test]
async fn a_large_transcript_is_kept_as_it_came_with_all_its_words() {
    let world = World::new().await;
    world.assemblyai.hold();
    let (sid, _) = world.recorded_call().await;
    world.settle().await;
    let id = world.call(&sid).await["transcripts"][0]["id"].as_str().expect("an id").to_owned();
    let body = transcript(&id, &real_words(4_321));
    world.assemblyai.control.fail_next(Method::GET, &id, Fault::wrong_body(body.clone()));
    for _ in 0..2 {
        let answer = world.get(&format!("/transcript/{id}")).await;
        assert!(answer.status == 200 && answer.text() == body);
    }
    let words: Value = serde_json::from_str::<Value>(&body).expect("JSON")["words"].take();
    let kept = world.store.texts("SELECT word || ' ' || start_ms || ' ' || end_ms FROM words ORDER BY position").await;
    let came = words
        .as_array()
        .expect("words")
        .iter()
        .map(|word| format!("{} {} {}", word["text"].as_str().expect("a text"), word["start"], word["end"]));
    assert_eq!(kept, came.collect::<Vec<_>>());
    assert_eq!(world.store.number("SELECT max(position) FROM words").await, 4_320);
    let srt = world.get(&format!("/transcript/{id}?format=srt")).await.text();
    assert_eq!(srt.split_whitespace().filter(|word| word.starts_with("word")).count(), 4_321);
    let page = world.get_with(&format!("/calls/{sid}"), &[("accept", "text/html")]).await.text();
    assert!(page.contains(kept[4_320].split(' ').next().expect("a word")));
}

#[tokio::test]
async fn a_transcript_that_is_too_large_fails_at_once_and_its_call_says_why() {
    let world = World::new().await;
    world.assemblyai.hold();
    let (sid, _) = world.recorded_call().await;
    world.settle().await;
    let id = world.call(&sid).await["transcripts"][0]["id"].as_str().expect("an id").to_owned();
    let body = format!(r#"{{"id": "{id}", "status": "completed", "text": "{}"}}"#, r"\n".repeat(3 << 20));
    fail_step(&world.assemblyai.control, &Method::GET, &id, &Fault::wrong_body(body));
    world.after(Duration::from_secs(60)).await;
    let call = world.call(&sid).await;
    let reason = "AssemblyAI sent a response that is too large: more than 4 MiB of escape sequences";
    let found = &call["transcripts"][0];
    assert_eq!((&found["state"], &found["reason"]), (&json!("failed"), &json!(reason)), "{call}");
    let requests = || world.assemblyai.control.requests().len();
    let before = requests();
    world.after(Duration::from_secs(24 * 3_600)).await;
    assert_eq!(requests(), before, "it is not fetched again");
}
