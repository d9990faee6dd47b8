//! A call of ten minutes with sixty errors in its transcript, and the program between both vendors, which can be killed and
//! started again.

use callscribe::sandbox::assemblyai::AssemblyAi;
use callscribe::sandbox::control::Fault;
use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::twilio::{Audio, SeededCall, SeededRecording, Twilio};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

use crate::support::command::{ENOUGH, Folder, Program, with};
use crate::support::{client, listen};

/// Words between two errors, 60 times over.
const WORDS: &str = "The doctor said that we should call the office again on Monday morning and ask for the results. \
                     Then we talk about what comes next, and";

/// What was heard, with unsure words in angle brackets, and what was said.
const ERRORS: [(&str, &str); 4] = [
    ("<clerk,>", "Clara,"),
    ("<metro> <pollen>", "metoprolol"),
    ("<prescription>", "prescription refill"),
    ("the <uh>", "the"),
];

/// Bytes of a second of audio.
const RATE: u32 = 8_000;

pub(crate) struct TypedCall {
    pub(crate) base: String,
    /// AssemblyAI's id.
    pub(crate) transcript: String,
    program: Program,
    folder: Folder,
    twilio: Twilio,
    assemblyai: AssemblyAi,
}

impl TypedCall {
    pub(crate) async fn start() -> Self {
        let twilio = Twilio::start(listen().await, Pace::instant());
        let assemblyai = AssemblyAi::start(listen().await, Pace::instant());
        assemblyai.hold();
        let folder = Folder::new();
        let mut program = run(&folder, &twilio, &assemblyai, "127.0.0.1:0");
        let base = format!("http://{}", program.address());
        let length = Duration::from_secs(600);
        let call_sid = twilio.add_call(SeededCall { duration: Some(length), ..SeededCall::default() });
        let audio = Audio::Bytes(silence(600).into());
        let seeded = SeededRecording { call_sid, duration: length, audio, ..SeededRecording::default() };
        let recording = twilio.add_recording(seeded);
        let ask = client().post(format!("{base}/transcribe")).json(&json!({ "recording_sid": recording }));
        let answer: Value = ask.send().await.expect("an answer").json().await.expect("JSON");
        let transcript = answer["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        let words = heard();
        let text = words.iter().filter_map(|word| word["text"].as_str()).collect::<Vec<_>>().join(" ");
        let body = json!({ "id": transcript, "status": "completed", "text": text, "words": words });
        assemblyai.control.fail_next(Method::GET, &transcript, Fault::wrong_body(body.to_string()));
        let read = client().get(format!("{base}/transcript/{transcript}?format=text")).send().await;
        assert_eq!(read.expect("an answer").status(), 200);
        Self { base, transcript, program, folder, twilio, assemblyai }
    }

    /// The kinds of corrections, in the order of the text, and the text that results, as JSON.
    pub(crate) fn corrections(&self) -> String {
        let kinds: Vec<&str> = (0..60).map(|at| ["one", "two", "missing", "superfluous"][kind(at)]).collect();
        let said = (0..60).map(|at| format!("{WORDS} {}", ERRORS[kind(at)].1)).collect::<Vec<_>>().join(" ");
        json!({ "kinds": kinds, "said": said }).to_string()
    }

    pub(crate) fn kill(&self) {
        self.program.signal("KILL");
    }

    /// At the same address, with the same store.
    pub(crate) fn start_again(&mut self) {
        let address = self.base.trim_start_matches("http://");
        self.program = run(&self.folder, &self.twilio, &self.assemblyai, address);
        self.program.address();
    }
}

fn run(folder: &Folder, twilio: &Twilio, assemblyai: &AssemblyAi, address: &str) -> Program {
    let settings = [
        ("TWILIO_API_URL", twilio.url()),
        ("ASSEMBLYAI_API_URL", assemblyai.url()),
        ("BASE_URL", "http://127.0.0.1:1"),
        ("BIND_ADDR", address),
    ];
    Program::start(folder.path(), &[], &with(&ENOUGH, &settings))
}

/// Which of the errors this one is.
fn kind(at: usize) -> usize {
    match at % 6 {
        0..=2 => 0,
        other => other - 2,
    }
}

/// The words as AssemblyAI heard them, over ten minutes.
fn heard() -> Vec<Value> {
    let text = (0..60).map(|at| format!("{WORDS} {}", ERRORS[kind(at)].0)).collect::<Vec<_>>().join(" ");
    let words: Vec<&str> = text.split_whitespace().collect();
    let pace = 600_000 / words.len();
    let word = |(at, word): (usize, &&str)| {
        let text = word.trim_start_matches('<').replace('>', "");
        let confidence = if word.starts_with('<') { 0.4 } else { 0.95 };
        json!({ "text": text, "start": at * pace, "end": at * pace + pace - 50, "confidence": confidence })
    };
    words.iter().enumerate().map(word).collect()
}

/// A WAV file of silence.
fn silence(seconds: u32) -> Vec<u8> {
    let length = RATE * seconds;
    let header = [
        &b"RIFF"[..],
        &(36 + length).to_le_bytes(),
        b"WAVEfmt ",
        &16_u32.to_le_bytes(),
        // PCM, one channel.
        &[1, 0, 1, 0],
        &RATE.to_le_bytes(),
        &RATE.to_le_bytes(),
        // One byte a sample.
        &[1, 0, 8, 0],
        b"data",
        &length.to_le_bytes(),
    ]
    .concat();
    let mut file = header;
    file.resize(file.len() + length as usize, 0x80);
    file
}
