//! Captions of a few words: where they break, and when they are shown.

use callscribe::export::{self, Naming, Word};

use crate::export::read_srt;

const UNNAMED: Naming = &|_| None;

fn srt(words: &[Word]) -> String {
    export::srt(words, UNNAMED)
}

fn vtt(words: &[Word]) -> String {
    export::vtt(words, &|word| word.voice())
}

/// Returns words of 300 ms with pauses of 50 ms, starting at this time.
fn said(text: &str, from: u64) -> Vec<Word<'_>> {
    let word = |(index, text): (usize, _)| {
        let start = from + 350 * index as u64;
        Word { text, start, end: start + 300, speaker: None, channel: None }
    };
    text.split(' ').enumerate().map(word).collect()
}

fn by<'a>(speaker: &'a str, words: Vec<Word<'a>>) -> Vec<Word<'a>> {
    words.into_iter().map(|word| Word { speaker: Some(speaker), ..word }).collect()
}

fn on<'a>(channel: &'a str, words: Vec<Word<'a>>) -> Vec<Word<'a>> {
    words.into_iter().map(|word| Word { channel: Some(channel), ..word }).collect()
}

/// Returns the times of each cue, and its lines joined by `/`.
fn shown(words: &[Word]) -> Vec<(u64, u64, String)> {
    read_srt(&srt(words)).into_iter().map(|(start, end, _, text)| (start, end, text.replace('\n', "/"))).collect()
}

fn texts(words: &[Word]) -> Vec<String> {
    shown(words).into_iter().map(|(_, _, text)| text).collect()
}

#[test]
fn without_words_each_format_is_an_empty_file() {
    let blank = [Word { text: " \0\n", start: 0, end: 9, speaker: Some("A"), channel: None }];
    for words in [&[][..], &blank] {
        assert_eq!((srt(words), vtt(words)), (String::new(), "WEBVTT\n".to_owned()));
    }
}

#[test]
fn srt_has_numbers_and_commas_and_vtt_has_a_header_and_points() {
    let words = [said("Ahoy there!", 3_600_000), said("Who is it?", 3_723_004)].concat();
    assert_eq!(
        srt(&words),
        "1\n01:00:00,000 --> 01:00:01,000\nAhoy there!\n\n2\n01:02:03,004 --> 01:02:04,004\nWho is it?\n"
    );
    assert_eq!(
        vtt(&words),
        "WEBVTT\n\n01:00:00.000 --> 01:00:01.000\nAhoy there!\n\n01:02:03.004 --> 01:02:04.004\nWho is it?\n"
    );
}

#[test]
fn markup_stays_text() {
    let words = by("<A>\n&", said("Q&A <b>bold</b> --> 00:00 &lt;", 0));
    assert_eq!(
        vtt(&words),
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.700\n\
         <v &lt;A&gt; &amp;>Q&amp;A &lt;b&gt;bold&lt;/b&gt; --&gt; 00:00 &amp;lt;\n"
    );
    assert_eq!(srt(&words), "1\n00:00:00,000 --> 00:00:01,700\nQ&A <b>bold</b> → 00:00 &lt;\n");
}

#[test]
fn no_character_of_a_word_breaks_a_cue() {
    let words = said("one\n\n\r\ntwo\0 \u{b}\t three\u{2028}four \u{1e}five", 0);
    assert_eq!(texts(&words), ["one two three four five"]);
}

#[test]
fn a_cue_ends_with_its_sentence() {
    let words = said("We can send the parcel to you on Monday. Does the morning suit you and your family?", 0);
    assert_eq!(
        texts(&words),
        ["We can send the parcel to you on Monday.", "Does the morning suit you and your family?"]
    );
}

#[test]
fn short_sentences_share_a_cue() {
    assert_eq!(texts(&said("Yes. No. That is right.", 0)), ["Yes. No. That is right."]);
}

#[test]
fn a_sentence_too_long_for_a_cue_breaks_at_a_clause() {
    let words = said(
        "If the parcel does not arrive by then, which I do not think will happen at all, please call this number \
         again and ask for me",
        0,
    );
    assert_eq!(
        texts(&words),
        [
            "If the parcel does not arrive by then,/which I do not think will happen at all,",
            "please call this number/again and ask for me"
        ]
    );
}

#[test]
fn a_cue_ends_at_a_pause() {
    let words = [said("so I was at the shop", 0), said("and then they told me to call you", 3_000)].concat();
    assert_eq!(texts(&words), ["so I was at the shop", "and then they told me to call you"]);
}

#[test]
fn an_abbreviation_does_not_end_a_sentence() {
    let words = said("This is the office of Dr. Green and of Mrs. White and J. Brown.", 0);
    assert_eq!(texts(&words), ["This is the office of Dr. Green/and of Mrs. White and J. Brown."]);
}

#[test]
fn a_word_longer_than_a_line_is_split_and_loses_nothing() {
    let long = "x".repeat(100);
    let words = said(&long, 0);
    let captions = texts(&words);
    let lines: Vec<&str> = captions.iter().flat_map(|caption| caption.split('/')).collect();
    assert!(lines.iter().all(|line| line.len() <= 42));
    assert_eq!(lines.concat(), long);
}

#[test]
fn a_script_without_spaces_gets_none_and_half_as_many_characters() {
    let words: Vec<Word> = said("你好 我 想 问 一下 今天 下午 的 会议 是 几点 开始 因为 我 记 不 清楚 了", 0);
    assert_eq!(texts(&words), ["你好我想问一下今天下午的/会议是几点开始因为我记不清楚了"]);
}

#[test]
fn a_short_cue_is_shown_a_second_and_a_fast_one_until_it_is_read() {
    let slow = [Word { text: "Yes.", start: 500, end: 600, speaker: None, channel: None }];
    assert_eq!(shown(&slow), [(500, 1_500, "Yes.".to_owned())]);
    let quick = [Word { text: "Hippopotomonstrosesquippedaliophobia, sir!", start: 0, end: 900, ..slow[0] }];
    assert_eq!(shown(&quick)[0].1, 2_100);
}

#[test]
fn an_endless_word_is_shown_seven_seconds() {
    let word = Word { text: "Hold", start: 0, end: 60_000, speaker: None, channel: None };
    assert_eq!(shown(&[word]), [(0, 7_000, "Hold".to_owned())]);
}

#[test]
fn wrong_times_change_neither_the_order_of_words_nor_that_of_cues() {
    let at = |text, start, end| Word { text, start, end, speaker: None, channel: None };
    let words = [at("one", 5_000, 4_000), at("two", 0, 0), at("three", 5_300, u64::MAX), at("four", 5_600, 5_900)];
    assert_eq!(shown(&words), [(5_000, 6_000, "one two three four".to_owned())]);
    let words = [at("One.", u64::MAX, u64::MAX), at("Two.", 1, 2)];
    assert_eq!(shown(&words), [(356_400_000, 356_401_000, "One. Two.".to_owned())]);
}

#[test]
fn another_voice_is_another_cue_with_its_name() {
    let words =
        [by("A", said("Is that you?", 0)), by("B", said("Yes.", 1_000)), by("A", said("Good.", 1_400))].concat();
    assert_eq!(
        vtt(&words),
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n<v Speaker A>Is that you?\n\n\
         00:00:01.000 --> 00:00:02.000\n<v Speaker B>Yes.\n\n\
         00:00:02.000 --> 00:00:03.000\n<v Speaker A>Good.\n"
    );
}

#[test]
fn the_name_stands_where_another_voice_speaks() {
    let words = [
        by("A", said("We have looked around and we will send you another one.", 0)),
        by("A", said("Is that fine?", 5_000)),
        by("B", said("Yes.", 8_000)),
    ]
    .concat();
    let named = |name: &str| {
        let name = name.to_owned();
        let naming =
            move |word: &Word<'_>| Some(if word.speaker == Some("A") { name.clone() } else { "Lee".to_owned() });
        let texts: Vec<String> =
            read_srt(&export::srt(&words, &naming)).into_iter().map(|(.., text)| text.replace('\n', "/")).collect();
        let text = export::text(&words, &naming).expect("a dialog");
        (texts, text)
    };
    let (captions, text) = named("Dana Foster");
    assert_eq!(
        captions,
        ["Dana Foster: We have looked around/and we will send you another one.", "Is that fine?", "Lee: Yes."]
    );
    assert_eq!(text, "Dana Foster: We have looked around and we will send you another one. Is that fine?\nLee: Yes.");
    // A name that leaves no room makes a longer line, and is not cut.
    let (captions, _) = named(&"x".repeat(100));
    assert!(captions[0].starts_with(&format!("{}: We have", "x".repeat(100))), "{captions:?}");
}

#[test]
fn an_interjection_does_not_break_the_other_voices_sentence() {
    let words = [
        on("1", said("We have looked around and we will send you another one.", 0)),
        on("2", said("Okay.", 1_500)),
        on("2", said("Thank you.", 4_400)),
    ]
    .concat();
    assert_eq!(
        shown(&words),
        [
            (0, 2_700, "We have looked around/and we will send you another one.".to_owned()),
            (2_700, 3_700, "Okay.".to_owned()),
            (4_400, 5_400, "Thank you.".to_owned())
        ]
    );
}

#[test]
fn dense_cues_do_not_fall_behind_forever() {
    let both = |at| [on("1", said("No.", at)), on("2", said("Yes.", at + 500))].concat();
    let words: Vec<Word> = (0..20).flat_map(|nth| both(nth * 1_000)).collect();
    let mut said: Vec<u64> = words.iter().map(|word| word.start).collect();
    said.sort_unstable();
    let cues = shown(&words);
    assert_eq!(cues.len(), said.len());
    for ((start, end, text), said) in cues.iter().zip(said) {
        assert!(end - start >= 500 && start - said <= 2_500, "{text} from {start} to {end} was said at {said}");
    }
    assert!(cues[0].1 - cues[0].0 >= 1_000);
}
