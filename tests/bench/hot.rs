//! What is done for every callback and every export, alone: `cargo bench --bench hot`.

// Shared with the other benchmarks, which use more of it.
#[expect(dead_code)]
mod client;

use std::hint::black_box;

use callscribe::clients::assemblyai::Reply;
use callscribe::clients::twilio::callbacks::RecordingProgress;
use callscribe::clients::twilio::signature::{self, Algorithm, Param};
use callscribe::export;
use callscribe::sandbox::twilio;
use callscribe::twiml::{self, Record, Verb};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;

/// Words of the transcript: half an hour of talk.
const WORDS: u64 = 5_000;

const URL: &str = "https://callscribe.invalid/hooks/twilio/recording?t=0123456789abcdef0123456789abcdef";

/// A recording's callback, signed, as it comes.
fn callback() -> (String, Vec<Param>, String) {
    let (_, request) = client::recording_finished(7);
    let request = String::from_utf8(request).expect("text");
    let (_, form) = request.split_once("\r\n\r\n").expect("a body");
    let params: Vec<Param> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let signature = signature::sign(Algorithm::HmacSha1, twilio::AUTH_TOKEN, URL, &params);
    (form.to_owned(), params, signature)
}

fn callbacks(criterion: &mut Criterion) {
    let (form, params, signature) = callback();
    let verify = |signature: &str| {
        signature::verify(Algorithm::HmacSha1, twilio::AUTH_TOKEN, URL, black_box(&params), signature)
    };
    assert!(verify(&signature) && !verify("bm9ib2R5IHNpZ25lZCB0aGlzIQ=="));
    criterion.bench_function("check a signature", |each| each.iter(|| verify(&signature)));
    let parse = || serde_urlencoded::from_str::<RecordingProgress>(black_box(&form)).expect("a callback");
    assert_eq!(parse().recording_status, "completed");
    criterion.bench_function("read a recording's callback", |each| each.iter(parse));
}

fn instructions(criterion: &mut Criterion) {
    let answer = || {
        twiml::response(&[
            Verb::Say(black_box("Ahoy! Call recording starts now.").to_owned()),
            Verb::Record(Record {
                action: URL.to_owned(),
                recording_status_callback: URL.to_owned(),
                max_length: 3_600,
                timeout: 5,
            }),
            Verb::Hangup,
        ])
    };
    assert!(answer().ends_with("<Hangup/></Response>"));
    criterion.bench_function("write TwiML", |each| each.iter(answer));
}

fn captions(criterion: &mut Criterion) {
    let word = |n: u64| {
        let text = if n % 12 == 11 { "done.".to_owned() } else { format!("word{}", n % 97) };
        json!({ "text": text, "start": n * 350, "end": n * 350 + 300, "confidence": 0.97, "speaker": null })
    };
    let words: Vec<_> = (0..WORDS).map(word).collect();
    let transcript = json!({ "id": "x", "status": "completed", "text": "", "words": words }).to_string().into_bytes();
    let captions = || {
        let Reply { transcript, .. } = Reply::read(black_box(&transcript).clone()).expect("a transcript");
        let words: Vec<export::Word> = transcript
            .words
            .iter()
            .map(|word| export::Word {
                text: &word.text,
                start: word.start,
                end: word.end,
                speaker: word.speaker.as_deref(),
                channel: word.channel.as_deref(),
            })
            .collect();
        export::srt(&words)
    };
    assert!(captions().starts_with("1\n00:00:00,000 --> "));
    let mut group = criterion.benchmark_group("AssemblyAI's JSON to SRT");
    group.throughput(Throughput::Elements(WORDS));
    group.bench_function(format!("{WORDS} words"), |each| each.iter(captions));
    group.finish();
}

criterion_group!(hot, callbacks, instructions, captions);
criterion_main!(hot);
