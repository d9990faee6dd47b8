//! Transcripts to take away, held against the rules of their formats over thousands of made-up transcripts, and against
//! readers of others, where `vendor_clients` finds a Python that has them.

use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::process::{Command, Stdio};

use callscribe::export::{self, Word};
use serde_json::{Value, json};

use crate::vendor_clients::test_python;

/// Made-up words, the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
}

#[derive(Debug)]
struct Said {
    text: String,
    start: u64,
    end: u64,
    speaker: Option<&'static str>,
    channel: Option<&'static str>,
}

impl Said {
    fn word(&self) -> Word<'_> {
        let Self { ref text, start, end, speaker, channel } = *self;
        Word { text, start, end, speaker, channel }
    }
}

const PLAIN: [&str; 16] = [
    "a",
    "I",
    "to",
    "the",
    "and",
    "call",
    "would",
    "about",
    "please",
    "morning",
    "parcel",
    "tomorrow",
    "yesterday",
    "understand",
    "appointment",
    "unfortunately",
];

/// One voice as people speak: sentences of words of 100 ms and more, with pauses behind most.
fn speech(
    chance: &mut Chance,
    who: (Option<&'static str>, Option<&'static str>),
    mut at: u64,
    sentences: u64,
    most_silence: u64,
) -> Vec<Said> {
    let mut words = Vec::new();
    for _ in 0..sentences {
        let length = 1 + chance.below(25);
        for nth in 1..=length {
            let mark = match chance.below(8) {
                _ if nth == length => chance.one(&[".", ".", "?", "!"]),
                0 => ",",
                _ => "",
            };
            let text = format!("{}{mark}", chance.one(&PLAIN));
            let end = at + 100 + chance.below(15 + text.len() as u64 * 90);
            words.push(Said { text, start: at, end, speaker: who.0, channel: who.1 });
            at = end + chance.below(120) + if mark == "," { chance.below(400) } else { 0 };
        }
        at += chance.below(most_silence);
    }
    words
}

/// Two who take turns, or who speak at the same time, each on a channel.
fn conversation(chance: &mut Chance, at_once: bool) -> Vec<Said> {
    let mut words = Vec::new();
    if at_once {
        for who in ["1", "2"] {
            words.extend(speech(chance, (Some(who), Some(who)), 0, 20, 12_000));
        }
        words.sort_by_key(|word| word.start);
    } else {
        let mut at = 0;
        for turn in 0..20 {
            let (who, sentences) = (["A", "B"][turn % 2], 1 + chance.below(3));
            words.extend(speech(chance, (Some(who), None), at, sentences, 3_000));
            at = words.last().map_or(0, |word| word.end) + chance.below(800);
        }
    }
    words
}

/// What nobody says.
fn noise(chance: &mut Chance) -> Vec<Said> {
    let long = "Donaudampfschiffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft";
    let texts = [
        "",
        " ",
        "\0",
        "\n\n",
        "-->",
        "--",
        ">",
        "&",
        "&amp;",
        "<v",
        "</v>",
        "<script>alert(1)</script>",
        "1",
        "7\n",
        "00:00:01,000",
        "00:00:01.000",
        "WEBVTT",
        "NOTE",
        "STYLE",
        "\r\n\r\n",
        "a\n\nb",
        "x\u{2028}y",
        "\u{85}",
        "\u{feff}",
        "{\\an8}",
        "é",
        "👩‍👩‍👧",
        "שלום",
        "会议",
        "안녕하세요",
        "今天下午的会议是几点开始因为我记不清楚了你能告诉我吗谢谢你了",
        long,
        "Mr.",
        "...",
        "?!",
        "\u{1b}[31m",
        "\u{b}\u{c}\u{1c}\u{1d}\u{1e}",
    ];
    let time = |chance: &mut Chance| match chance.below(12) {
        0 => 0,
        1 => u64::MAX - chance.below(2),
        2 => chance.below(1 << 50),
        _ => chance.below(60_000),
    };
    let count = chance.below(40);
    let who = [None, Some("A"), Some("B")];
    (0..count)
        .map(|_| Said {
            text: (0..=chance.below(3)).map(|_| chance.one(&texts)).collect::<Vec<_>>().join(chance.one(&["", " "])),
            start: time(chance),
            end: time(chance),
            speaker: who[chance.below(3) as usize],
            channel: None,
        })
        .collect()
}

fn words(said: &[Said]) -> Vec<Word<'_>> {
    said.iter().map(Said::word).collect()
}

/// A cue as it stands in a file: its times, its voice, its text as it is written there.
type Cue = (u64, u64, Option<String>, String);

fn ms(clock: &str, point: char) -> u64 {
    let (seconds, ms) = clock.split_once(point).expect("a point");
    assert!(ms.len() == 3 && seconds.split(':').all(|part| part.len() >= 2), "{clock}");
    let seconds = seconds.split(':').map(|part| part.parse::<u64>().expect("digits"));
    seconds.fold(0, |sum, part| sum * 60 + part) * 1_000 + ms.parse::<u64>().expect("digits")
}

fn times(line: &str, point: char) -> (u64, u64) {
    let (start, end) = line.split_once(" --> ").expect("an arrow");
    (ms(start, point), ms(end, point))
}

fn read_srt(srt: &str) -> Vec<Cue> {
    let mut cues = Vec::new();
    for block in srt.split_terminator("\n\n") {
        let [number, line, text] = block.splitn(3, '\n').collect::<Vec<_>>()[..] else {
            panic!("three parts: {block:?}")
        };
        let (start, end) = times(line, ',');
        cues.push((start, end, None, text.trim_end_matches('\n').to_owned()));
        assert_eq!(number, cues.len().to_string());
    }
    cues
}

fn read_vtt(vtt: &str) -> Vec<Cue> {
    let mut blocks = vtt.split_terminator("\n\n");
    assert_eq!(blocks.next().map(str::trim_end), Some("WEBVTT"));
    let read = |block: &str| {
        let (line, text) = block.split_once('\n').expect("a text");
        let (start, end) = times(line, '.');
        let text = text.trim_end_matches('\n').to_owned();
        let voice = text.strip_prefix("<v ").map(|rest| rest.split_once('>').expect("a whole tag").0.to_owned());
        (start, end, voice, text)
    };
    blocks.map(read).collect()
}

fn plain(vtt: &str, voice: Option<&str>) -> String {
    let tag = voice.map_or(0, |voice| format!("<v {voice}>").len());
    let text = &vtt[tag..];
    assert!(!text.contains(['<', '>']), "{text}");
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// What is to be seen of a text.
fn letters(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace() && !character.is_control()).collect()
}

/// What must be true of any words' captions. Gives them with their text as it is shown.
fn checked(said: &[Said]) -> Vec<Cue> {
    let words = words(said);
    let (srt, vtt) = (read_srt(&export::srt(&words)), read_vtt(&export::vtt(&words)));
    assert_eq!(srt.len(), vtt.len());
    let mut cues: Vec<Cue> = Vec::new();
    for ((start, end, _, in_srt), (vtt_start, vtt_end, voice, in_vtt)) in srt.into_iter().zip(vtt) {
        assert_eq!((start, end), (vtt_start, vtt_end));
        let text = plain(&in_vtt, voice.as_deref());
        assert_eq!(in_srt, text.replace("-->", "→"));
        assert!((500..=7_000).contains(&(end - start)), "{start} to {end}: {text}");
        assert!(cues.last().is_none_or(|(_, before, ..)| *before <= start), "{text}");
        let lines: Vec<&str> = text.split('\n').collect();
        assert!(lines.len() <= 2, "{text}");
        for line in lines {
            assert!((1..=42).contains(&line.chars().count()) && line.trim() == line, "{line:?}");
            assert!(!line.contains(char::is_control), "{line:?}");
        }
        cues.push((start, end, voice, text));
    }
    let mut heard: HashMap<Option<String>, String> = HashMap::new();
    for said in said.iter().filter(|said| !letters(&said.text).is_empty()) {
        let voice = match (said.speaker, said.channel) {
            (_, Some(channel)) => Some(format!("Channel {channel}")),
            (speaker, None) => speaker.map(|speaker| format!("Speaker {speaker}")),
        };
        heard.entry(voice).or_default().push_str(&letters(&said.text));
    }
    let mut shown: HashMap<Option<String>, String> = HashMap::new();
    for (_, _, voice, text) in &cues {
        shown.entry(voice.clone()).or_default().push_str(&letters(text));
    }
    assert_eq!(shown, heard);
    cues
}

/// How many milliseconds after its first word each cue is shown.
fn delays(said: &[Said], cues: &[Cue]) -> Vec<u64> {
    let mut rest: HashMap<String, VecDeque<&Said>> = HashMap::new();
    let last = |name: Option<&str>| name.map_or(String::new(), |name| name[name.len() - 1..].to_owned());
    for said in said {
        rest.entry(last(said.speaker)).or_default().push_back(said);
    }
    let delay = |(start, _, voice, text): &Cue| {
        let queue = rest.get_mut(&last(voice.as_deref())).expect("a voice");
        let first = queue.front().expect("a word").start;
        queue.drain(..text.split_whitespace().count());
        start.checked_sub(first).expect("no cue is early")
    };
    cues.iter().map(delay).collect()
}

#[test]
fn whatever_the_words_are_captions_keep_the_rules() {
    let mut chance = Chance(20_261);
    for _ in 0..5_000 {
        checked(&noise(&mut chance));
    }
}

#[test]
fn captions_of_a_voice_come_with_its_words_and_stay_a_second() {
    let mut chance = Chance(20_262);
    let (mut all, mut torn, mut too_fast) = (0, 0, 0);
    for _ in 0..200 {
        let said = speech(&mut chance, (None, None), 0, 30, 3_000);
        let cues = checked(&said);
        assert!(delays(&said, &cues).iter().all(|delay| *delay < 500));
        for (start, end, _, text) in &cues {
            assert!(end - start >= 1_000, "{start} to {end}: {text}");
            all += 1;
            torn += usize::from(!text.ends_with(['.', '?', '!', ',']));
            too_fast += usize::from(text.len() as u64 * 1_000 / (end - start) > 25);
        }
    }
    println!("{all} captions: {torn} end within a clause, {too_fast} have over 25 characters a second");
    assert!(torn * 100 < all * 20 && too_fast * 100 < all * 5, "{torn} and {too_fast} of {all}");
}

#[test]
fn captions_of_two_voices_come_soon_after_their_words() {
    let mut chance = Chance(20_263);
    // There is no time for all where two speak at once for long.
    for (at_once, percent_short) in [(false, 0), (true, 5)] {
        let (mut all, mut short, mut longest_delay) = (0, 0, 0);
        for _ in 0..100 {
            let said = conversation(&mut chance, at_once);
            let cues = checked(&said);
            longest_delay = delays(&said, &cues).into_iter().fold(longest_delay, u64::max);
            all += cues.len();
            short += cues.iter().filter(|(start, end, ..)| end - start < 1_000).count();
        }
        println!("{all} captions: {short} are shown under a second, the latest comes after {longest_delay} ms");
        assert!(short * 100 <= all * percent_short && longest_delay <= 2_500, "{short} of {all}, {longest_delay} ms");
    }
}

#[test]
fn other_programs_read_the_same_out_of_the_files() {
    let Some(python) = test_python() else { return };
    let mut chance = Chance(20_264);
    let mut lists: Vec<Vec<Said>> = (0..1_000).map(|_| noise(&mut chance)).collect();
    lists.extend((0..20).map(|nth| conversation(&mut chance, nth % 2 == 0)));
    let files: Vec<(String, String)> =
        lists.iter().map(|said| (export::srt(&words(said)), export::vtt(&words(said)))).collect();

    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/captions.py"));
    command.env_clear().envs([("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUTF8", "1")]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("CALLSCRIBE_TEST_PYTHON starts");
    let input = json!(files).to_string();
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads all before it answers");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let read: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");

    assert_eq!(read.len(), files.len());
    for (read, (srt, vtt)) in read.iter().zip(&files) {
        assert_eq!(read[0], json!(read_srt(srt)), "{srt}");
        // A reader that is no browser leaves escapes in names and texts as they are.
        assert_eq!(read[1], json!(read_vtt(vtt)), "{vtt}");
    }
}
