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

#[cfg(target_os = "linux")]
/// Orders a transcript, which AssemblyAI does not finish. Returns its id.
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
        let before = measured.usage().0;
        assert_eq!(fetch(&measured, &id, &words, "text").await, (200, "Ahoy!\n".to_owned()));
        let (status, kept) = read(&measured, &id, "json").await;
        assert!(status == 200 && kept == transcript(&id, &words), "{number}: the JSON is not kept as it came");
        let (growth, length) = (measured.usage().0.saturating_sub(before), kept.len() as u64);
        println!("{number}: {length} bytes need {growth}");
        assert!(growth < 4 * length, "{number}: {length} bytes needed {growth}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn of_large_transcripts_that_come_or_are_read_at_once_one_is_in_memory() {
    const AT_ONCE: usize = 8;
    /// Bytes of memory for one of text: reading one at a time took 18 to 43, all at once 74 to 97.
    const MOST: u64 = 60;

    let measured = Measured::start().await;
    measured.assemblyai.hold();
    let words = real_words(6_000);
    let first = ordered(&measured, 0).await;
    let before = measured.usage().0;
    fetch(&measured, &first, &words, "text").await;
    let ids = join_all((1..=AT_ONCE).map(|audio| ordered(&measured, audio))).await;
    let fetched = join_all(ids.iter().map(|id| fetch(&measured, id, &words, "text"))).await;
    assert!(fetched.iter().all(|(status, text)| *status == 200 && text == "Ahoy!\n"));
    let growth = measured.usage().0.saturating_sub(before);
    println!("{AT_ONCE} transcripts of {} bytes need {growth}", words.len());
    assert!(growth < MOST * words.len() as u64, "{AT_ONCE} transcripts of {} bytes needed {growth}", words.len());

    for format in ["srt", "vtt", "html"] {
        read(&measured, &first, format).await;
    }
    let before = measured.usage().0;
    for format in ["srt", "vtt", "html", "json"] {
        let read = join_all(ids.iter().map(|id| read(&measured, id, format))).await;
        assert!(read.iter().all(|(status, _)| *status == 200), "{format}");
    }
    let growth = measured.usage().0.saturating_sub(before);
    println!("reading them at once needs {growth} more than reading one");
    assert!(growth < MOST * words.len() as u64, "reading {AT_ONCE} at once needed {growth} more than reading one");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn of_pages_with_many_words_and_little_text_one_is_built_at_a_time() {
    const AT_ONCE: usize = 6;

    let measured = Measured::start().await;
    measured.assemblyai.hold();
    let id = ordered(&measured, 0).await;
    let words = format!("[{}{{}}]", r#"{"text":"a"},"#.repeat(60_000));
    fetch(&measured, &id, &words, "text").await;
    let (before, (status, page)) = (measured.usage().0, read(&measured, &id, "html").await);
    assert_eq!(status, 200);
    let one = measured.usage().0;
    let read = join_all((0..AT_ONCE).map(|_| read(&measured, &id, "html"))).await;
    assert!(read.iter().all(|(status, _)| *status == 200));
    let (growth, of_one) = (measured.usage().0.saturating_sub(one), one.saturating_sub(before));
    println!("a page of {} bytes needs {of_one}, {AT_ONCE} at once need {growth} more", page.len());
    // The pages themselves are in memory until they are sent.
    assert!(growth < of_one + (AT_ONCE * page.len()) as u64, "{AT_ONCE} pages at once needed {growth} more");
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
    let before = world.vendor_requests();
    world.after(Duration::from_secs(24 * 3_600)).await;
    assert_eq!(world.vendor_requests(), before, "it is not fetched again");
}
