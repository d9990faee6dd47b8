//! The functions behind every callback and every export, and the accuracy of a call, each alone: `cargo bench --bench hot`.

// The other benchmarks use more of it.
#[expect(dead_code)]
mod client;

use std::hint::black_box;

use callscribe::accuracy::{Comparison, Terms};
use callscribe::export;
use callscribe::internals::signature::{self, Algorithm};
use callscribe::internals::{RecordingProgress, Reply, callbacks};
use callscribe::sandbox::twilio;
use callscribe::twiml::{self, Record, Say, Verb};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;

/// Number of words in the transcript: half an hour of talk.
const WORDS: u64 = 5_000;

/// Number of words of a call whose accuracy is measured: ten minutes of talk.
const CALL_WORDS: u64 = 1_500;

const URL: &str = "https://callscribe.invalid/hooks/twilio/recording?t=0123456789abcdef0123456789abcdef";

/// The body of a recording callback.
fn form() -> String {
    let (_, request) = client::numbered_recording_callback(7);
    let request = String::from_utf8(request).expect("text");
    request.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

fn callbacks(criterion: &mut Criterion) {
    let form = form();
    let pairs = callbacks::pairs(form.as_bytes());
    let signature = signature::sign(Algorithm::HmacSha1, twilio::AUTH_TOKEN, URL, &pairs);
    let verify =
        |signature: &str| signature::verify(Algorithm::HmacSha1, twilio::AUTH_TOKEN, URL, black_box(&pairs), signature);
    assert!(verify(&signature) && !verify("bm9ib2R5IHNpZ25lZCB0aGlzIQ=="));
    criterion.bench_function("check a signature", |each| each.iter(|| verify(&signature)));
    let parse = || {
        let pairs = callbacks::pairs(black_box(form.as_bytes()));
        callbacks::read::<RecordingProgress>(&pairs).expect("a callback")
    };
    assert_eq!(parse().recording_status, "completed");
    criterion.bench_function("read a recording's callback", |each| each.iter(parse));
}

/// `/record/` renders its greeting once, at start, and only inserts the call id; other TwiML is rendered per request.
fn instructions(criterion: &mut Criterion) {
    let answer = || {
        twiml::response(&[
            Verb::Say(Say {
                text: black_box("Ahoy! Call recording starts now.").to_owned(),
                language: None,
                voice: None,
            }),
            Verb::Record(Record {
                action: URL.to_owned(),
                recording_status_callback: URL.to_owned(),
                max_length: 3_600,
                timeout: 5,
                finish_on_key: Some('#'),
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
        let mut words = Vec::new();
        Reply::read(black_box(&transcript).clone()).expect("a transcript").each_word(|word| words.push(word));
        let words: Vec<export::Word> = words
            .iter()
            .map(|word| export::Word {
                text: &word.text,
                start: word.start,
                end: word.end,
                speaker: word.speaker.as_deref(),
                channel: word.channel.as_deref(),
            })
            .collect();
        export::srt(&words, &|word| word.voice())
    };
    assert!(captions().starts_with("1\n00:00:00,000 --> "));
    let mut group = criterion.benchmark_group("AssemblyAI's JSON to SRT");
    group.throughput(Throughput::Elements(WORDS));
    group.bench_function(format!("{WORDS} words"), |each| each.iter(captions));
    group.finish();
}

/// How right a transcript is, with its key terms.
fn accuracy(criterion: &mut Criterion) {
    let word = |n: u64| format!("word{}", n * n % 997);
    let reference = (0..CALL_WORDS).map(word).collect::<Vec<_>>().join(" ");
    let hypothesis = (0..CALL_WORDS).map(|n| word(n + u64::from(n % 10 == 3))).collect::<Vec<_>>().join(", ");
    let terms = Terms::new((0..500).map(word));
    let tokens = |text: &str| Terms::NORMALIZATION.tokens_of(black_box(text));
    let compare = || Comparison::of(tokens(&reference), tokens(&hypothesis));
    assert_eq!(compare().edits().words(), CALL_WORDS);
    criterion.bench_function("the word error rate of a call", |each| each.iter(|| compare().edits().rate()));
    let comparison = compare();
    criterion.bench_function("its key terms", |each| each.iter(|| terms.count(&terms.places(&comparison))));
}

criterion_group!(hot, callbacks, instructions, captions, accuracy);
criterion_main!(hot);
