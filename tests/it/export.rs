//! Exported captions: thousands of random transcripts are checked against the rules of SRT and WebVTT, and read by other
//! programs if `vendor_clients` finds a Python with their packages.

use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::process::{Command, Stdio};

use callscribe::export::{self, Naming, Word};
use serde_json::{Value, json};

use crate::vendor_clients::test_python;

pub(crate) const UNNAMED: Naming = &|_| None;

/// A xorshift random number generator. Equal seeds give equal transcripts.
struct Random(u64);

impl Random {
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

/// Realistic speech of one voice (speaker and channel): sentences of words of at least 100 ms, with pauses after most.
fn speech(
    random: &mut Random,
    voice: (Option<&'static str>, Option<&'static str>),
    mut at: u64,
    sentences: u64,
    most_silence: u64,
) -> Vec<Said> {
    let mut words = Vec::new();
    for _ in 0..sentences {
        let length = 1 + random.below(25);
        for nth in 1..=length {
            let mark = match random.below(8) {
                _ if nth == length => random.one(&[".", ".", "?", "!"]),
                0 => ",",
                _ => "",
            };
            let text = format!("{}{mark}", random.one(&PLAIN));
            let end = at + 100 + random.below(15 + text.len() as u64 * 90);
            words.push(Said { text, start: at, end, speaker: voice.0, channel: voice.1 });
            at = end + random.below(120) + if mark == "," { random.below(400) } else { 0 };
        }
        at += random.below(most_silence);
    }
    words
}

/// Two speakers who take turns, or who speak at the same time on a channel each.
fn conversation(random: &mut Random, at_once: bool) -> Vec<Said> {
    let mut words = Vec::new();
    if at_once {
        for voice in ["1", "2"] {
            words.extend(speech(random, (Some(voice), Some(voice)), 0, 20, 12_000));
        }
        words.sort_by_key(|word| word.start);
    } else {
        let mut at = 0;
        for turn in 0..20 {
            let (speaker, sentences) = (["A", "B"][turn % 2], 1 + random.below(3));
            words.extend(speech(random, (Some(speaker), None), at, sentences, 3_000));
            at = words.last().map_or(0, |word| word.end) + random.below(800);
        }
    }
    words
}

/// Hostile input: markup, control characters, other scripts, and times in any order.
fn noise(random: &mut Random) -> Vec<Said> {
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
    let time = |random: &mut Random| match random.below(12) {
        0 => 0,
        1 => u64::MAX - random.below(2),
        2 => random.below(1 << 50),
        _ => random.below(60_000),
    };
    let count = random.below(40);
    let speakers = [None, Some("A"), Some("B")];
    (0..count)
        .map(|_| Said {
            text: (0..=random.below(3)).map(|_| random.one(&texts)).collect::<Vec<_>>().join(random.one(&["", " "])),
            start: time(random),
            end: time(random),
            speaker: speakers[random.below(3) as usize],
            channel: None,
        })
        .collect()
}

fn words(said: &[Said]) -> Vec<Word<'_>> {
    said.iter().map(Said::word).collect()
}

/// A cue of a file: start, end, voice, and the text with its escapes.
pub(crate) type Cue = (u64, u64, Option<String>, String);

fn ms(clock: &str, separator: char) -> u64 {
    let (seconds, ms) = clock.split_once(separator).expect("milliseconds");
    assert!(ms.len() == 3 && seconds.split(':').all(|part| part.len() >= 2), "{clock}");
    let seconds = seconds.split(':').map(|part| part.parse::<u64>().expect("digits"));
    seconds.fold(0, |sum, part| sum * 60 + part) * 1_000 + ms.parse::<u64>().expect("digits")
}

fn times(line: &str, separator: char) -> (u64, u64) {
    let (start, end) = line.split_once(" --> ").expect("an arrow");
    (ms(start, separator), ms(end, separator))
}

pub(crate) fn read_srt(srt: &str) -> Vec<Cue> {
    let mut cues = Vec::new();
    for block in srt.split_terminator("\n\n") {
        let [number, line, text] = block.splitn(3, '\n').collect::<Vec<_>>()[..] else {
            panic!("a block without number, times and text: {block:?}")
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
        let voice = text.strip_prefix("<v ").map(|rest| rest.split_once('>').expect("a complete tag").0.to_owned());
        (start, end, voice, text)
    };
    blocks.map(read).collect()
}

/// The text of a WebVTT cue without its voice tag and escapes.
fn plain(vtt: &str, voice: Option<&str>) -> String {
    let tag = voice.map_or(0, |voice| format!("<v {voice}>").len());
    let text = &vtt[tag..];
    assert!(!text.contains(['<', '>']), "{text}");
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// The visible characters of a text.
fn visible(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace() && !character.is_control()).collect()
}

/// Checks what must hold for the captions of any words. Returns the cues with their displayed text.
fn checked(said: &[Said]) -> Vec<Cue> {
    let words = words(said);
    let (srt, vtt) = (read_srt(&export::srt(&words, UNNAMED)), read_vtt(&export::vtt(&words, &|word| word.voice())));
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
    for said in said.iter().filter(|said| !visible(&said.text).is_empty()) {
        let voice = match (said.speaker, said.channel) {
            (_, Some(channel)) => Some(format!("Channel {channel}")),
            (speaker, None) => speaker.map(|speaker| format!("Speaker {speaker}")),
        };
        heard.entry(voice).or_default().push_str(&visible(&said.text));
    }
    let mut shown: HashMap<Option<String>, String> = HashMap::new();
    for (_, _, voice, text) in &cues {
        shown.entry(voice.clone()).or_default().push_str(&visible(text));
    }
    assert_eq!(shown, heard);
    cues
}

/// The milliseconds from the first word of each cue until the cue is shown.
fn delays(said: &[Said], cues: &[Cue]) -> Vec<u64> {
    let mut rest: HashMap<String, VecDeque<&Said>> = HashMap::new();
    let last_letter = |name: Option<&str>| name.map_or(String::new(), |name| name[name.len() - 1..].to_owned());
    for said in said {
        rest.entry(last_letter(said.speaker)).or_default().push_back(said);
    }
    let delay = |(start, _, voice, text): &Cue| {
        let queue = rest.get_mut(&last_letter(voice.as_deref())).expect("a voice");
        let first = queue.front().expect("a word").start;
        queue.drain(..text.split_whitespace().count());
        start.checked_sub(first).expect("a cue that is not early")
    };
    cues.iter().map(delay).collect()
}

/// Two voices, `Dana` on the first channel and `Mr Lee` on the second, who speak at the same time. Each word tells its
/// channel and is said once.
pub(crate) fn dialog(words: usize) -> Vec<Value> {
    let mut random = Random(20_269);
    let mut said = Vec::new();
    while said.len() < words {
        let at = said.iter().map(|said: &Said| said.end).max().unwrap_or_default();
        let mut some = conversation(&mut random, true);
        some.iter_mut().for_each(|said| (said.start, said.end) = (said.start + at, said.end + at));
        said.extend(some);
    }
    said.truncate(words);
    let word = |(nth, said): (usize, &Said)| {
        let channel = said.channel.expect("a channel");
        let mark = said.text.trim_start_matches(char::is_alphabetic);
        json!({
            "text": format!("c{channel}w{nth}{mark}"), "start": said.start, "end": said.end, "confidence": 0.9,
            "channel": channel, "speaker": channel,
        })
    };
    said.iter().enumerate().map(word).collect()
}

/// Asserts that each word of a [`dialog`] is there once, and said by whom it was said. `spoken` has names with what they say.
pub(crate) fn check_dialog<'a>(words: &[Value], spoken: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let mut seen = HashMap::new();
    for (name, text) in spoken {
        for word in text.split_whitespace() {
            *seen.entry(word.to_owned()).or_insert(0) += 1;
            let channel = match name {
                "Dana" => "c1",
                "Mr Lee" => "c2",
                other => panic!("{other} says {word}"),
            };
            assert!(word.starts_with(channel), "{name} says {word}");
        }
    }
    assert_eq!(seen.len(), words.len());
    assert!(words.iter().all(|word| seen[word["text"].as_str().expect("a text")] == 1));
}

/// Returns the names with what they say, from the text of a transcript.
pub(crate) fn speakers_of_text(text: &str) -> Vec<(&str, &str)> {
    text.lines().map(|line| line.split_once(": ").expect("a name")).collect()
}

/// Returns the names with what they say, from captions in which a name stands where another voice speaks.
pub(crate) fn speakers_of_srt(srt: &str) -> Vec<(String, String)> {
    let mut before = String::new();
    let spoken = read_srt(srt).into_iter().map(|(_, _, _, text)| {
        let (name, text) =
            text.split_once(": ").map_or((before.clone(), &*text), |(name, text)| (name.to_owned(), text));
        before.clone_from(&name);
        (name, text.to_owned())
    });
    spoken.collect()
}

pub(crate) fn speakers_of_vtt(vtt: &str) -> Vec<(String, String)> {
    let spoken = read_vtt(vtt).into_iter().map(|(_, _, voice, text)| {
        let plain = plain(&text, voice.as_deref());
        (voice.expect("a voice"), plain)
    });
    spoken.collect()
}

#[test]
fn each_of_ten_thousand_overlapping_words_is_said_once_by_its_speaker() {
    let said = dialog(10_000);
    let text = |word: &Value, name: &str| word[name].as_str().expect("a text").to_owned();
    let texts: Vec<(String, String)> = said.iter().map(|word| (text(word, "text"), text(word, "channel"))).collect();
    let words: Vec<Word> = said
        .iter()
        .zip(&texts)
        .map(|(word, (text, channel))| Word {
            text,
            start: word["start"].as_u64().expect("a time"),
            end: word["end"].as_u64().expect("a time"),
            speaker: Some(channel),
            channel: Some(channel),
        })
        .collect();
    let naming: Naming = &|word| Some(if word.channel == Some("1") { "Dana" } else { "Mr Lee" }.to_owned());
    check_dialog(&said, speakers_of_text(&export::text(&words, naming).expect("a dialog")));
    let (srt, vtt) = (export::srt(&words, naming), export::vtt(&words, naming));
    for spoken in [speakers_of_srt(&srt), speakers_of_vtt(&vtt)] {
        check_dialog(&said, spoken.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    }
    assert!(read_srt(&srt).iter().all(|(.., text)| text.lines().all(|line| line.chars().count() <= 42)));
    let names: Vec<String> = export::turns(&words, naming)
        .iter()
        .flat_map(|turn| turn.words.iter().map(|_| turn.name.clone()))
        .flatten()
        .collect();
    assert_eq!(names.len(), words.len());
}

#[test]
fn one_voice_is_not_named_in_text_and_captions() {
    let mut random = Random(20_270);
    for voice in [(None, None), (Some("A"), None), (Some("1"), Some("1"))] {
        let said = speech(&mut random, voice, 0, 5, 3_000);
        let words = words(&said);
        assert_eq!(export::text(&words, &|word| word.voice()), None);
        assert_eq!(export::srt(&words, &|word| word.voice()), export::srt(&words, UNNAMED));
    }
}

#[test]
fn captions_of_any_words_keep_the_rules() {
    let mut random = Random(20_261);
    for _ in 0..5_000 {
        checked(&noise(&mut random));
    }
}

#[test]
fn captions_of_one_voice_come_with_its_words_and_stay_a_second() {
    let mut random = Random(20_262);
    let (mut all, mut torn, mut too_fast) = (0, 0, 0);
    for _ in 0..200 {
        let said = speech(&mut random, (None, None), 0, 30, 3_000);
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
    let mut random = Random(20_263);
    // While two people speak at once for long, there is too little time to show every cue for a second.
    for (at_once, percent_short) in [(false, 0), (true, 5)] {
        let (mut all, mut short, mut longest_delay) = (0, 0, 0);
        for _ in 0..100 {
            let said = conversation(&mut random, at_once);
            let cues = checked(&said);
            longest_delay = delays(&said, &cues).into_iter().fold(longest_delay, u64::max);
            all += cues.len();
            short += cues.iter().filter(|(start, end, ..)| end - start < 1_000).count();
        }
        println!("{all} captions: {short} are shown under a second, the longest delay is {longest_delay} ms");
        assert!(short * 100 <= all * percent_short && longest_delay <= 2_500, "{short} of {all}, {longest_delay} ms");
    }
}

#[test]
fn other_programs_read_the_same_cues_from_the_files() {
    let Some(python) = test_python() else { return };
    let mut random = Random(20_264);
    let mut lists: Vec<Vec<Said>> = (0..1_000).map(|_| noise(&mut random)).collect();
    lists.extend((0..20).map(|nth| conversation(&mut random, nth % 2 == 0)));
    let files: Vec<(String, String)> = lists
        .iter()
        .map(|said| (export::srt(&words(said), UNNAMED), export::vtt(&words(said), &|word| word.voice())))
        .collect();

    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/captions.py"));
    command.env_clear().envs([("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUTF8", "1")]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a CALLSCRIBE_TEST_PYTHON that starts");
    let input = json!(files).to_string();
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("captions.py reads all of its input");
    let output = child.wait_with_output().expect("an exit");
    assert!(output.status.success());
    let read: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");

    assert_eq!(read.len(), files.len());
    for (read, (srt, vtt)) in read.iter().zip(&files) {
        assert_eq!(read[0], json!(read_srt(srt)), "{srt}");
        // Unlike a browser, webvtt-py leaves the escapes in names and texts as they are.
        assert_eq!(read[1], json!(read_vtt(vtt)), "{vtt}");
    }
}
