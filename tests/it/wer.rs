//! `callscribe wer`: how right a transcript is, from files.

use serde_json::{Value, json};

use crate::support::command::{Ended, Folder, Program};

/// Runs the command in a folder with these files. Returns the folder, too, which holds them.
fn wer(files: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let folder = Folder::new();
    for (name, text) in files {
        folder.write(name, text);
    }
    let arguments: Vec<&str> = ["wer"].into_iter().chain(arguments.iter().copied()).collect();
    Program::start(folder.path(), &arguments, &[]).end()
}

/// The JSON that the command prints about a reference and a hypothesis.
fn measured(reference: &str, hypothesis: &str, more: &[&str]) -> Value {
    let files = [("reference", reference), ("hypothesis", hypothesis), ("terms", "Ahoy Street\nahoy\r\n\nKowalczyk\n")];
    let arguments = [&["--reference", "reference", "--hypothesis", "hypothesis"], more].concat();
    let ended = wer(&files, &arguments);
    assert_eq!((ended.code, ended.stdout.len()), (Some(0), 1), "{ended:?}");
    assert!(ended.stderr.is_empty(), "{ended:?}");
    serde_json::from_str(&ended.stdout[0]).expect("JSON")
}

#[test]
fn two_texts_give_their_counts_and_the_word_error_rate() {
    let figures = measured("Ahoy, this is order 42.\n", "\u{feff}ahoy this is the\norder forty-two", &[]);
    let expected = json!({
        "normalize": "whisper-basic", "words": 5, "hits": 4, "substitutions": 1, "deletions": 0, "insertions": 2, "wer": 0.6,
    });
    assert_eq!(figures, expected);
    // In the order of the documentation.
    assert_eq!(figures.to_string(), expected.to_string());
    for (normalize, hits, words, rate) in [("whisper-basic", 3, 3, 0.0), ("assemblyai", 2, 2, 0.0), ("none", 0, 2, 1.0)]
    {
        let figures = measured("Co-pay it!", "co-pay IT", &["--normalize", normalize]);
        assert_eq!((&figures["hits"], &figures["words"], &figures["wer"]), (&json!(hits), &json!(words), &json!(rate)));
        assert_eq!(figures["normalize"], normalize);
    }
    let nothing_heard = measured("one two", "", &[]);
    assert_eq!((&nothing_heard["deletions"], &nothing_heard["wer"]), (&json!(2), &json!(1.0)));
}

#[test]
fn key_terms_are_counted_each_and_together_whatever_the_normalization_of_words() {
    let figures =
        measured("Ahoy Street. Ahoy!", "ahoy street Kowalczyk", &["--keyterms", "terms", "--normalize", "none"]);
    let all = json!({
        "normalize": "whisper-basic", "said": 3, "heard": 2, "false": 1, "recall": 2.0 / 3.0, "precision": 2.0 / 3.0,
        "f1": 2.0 / 3.0,
        "terms": [
            { "term": "Ahoy Street", "said": 1, "heard": 1, "false": 0, "recall": 1.0, "precision": 1.0, "f1": 1.0 },
            { "term": "ahoy", "said": 2, "heard": 1, "false": 0, "recall": 0.5, "precision": 1.0, "f1": 2.0 / 3.0 },
            { "term": "Kowalczyk", "said": 0, "heard": 0, "false": 1, "recall": null, "precision": 0.0, "f1": 0.0 },
        ],
    });
    assert_eq!(figures["keyterms"], all);
    assert_eq!(figures["normalize"], "none");
}

/// A transcript as AssemblyAI sends it, of words with their speakers and channels.
fn transcript(words: &[(&str, &str, Option<&str>)]) -> String {
    let text: Vec<&str> = words.iter().map(|(text, ..)| *text).collect();
    let words: Vec<Value> = words
        .iter()
        .map(|(text, speaker, channel)| {
            json!({ "text": text, "start": 0, "end": 100, "confidence": 0.9, "speaker": speaker, "channel": channel })
        })
        .collect();
    json!({ "id": "x", "status": "completed", "text": text.join(" "), "words": words, "utterances": null }).to_string()
}

#[test]
fn of_transcripts_the_text_counts_and_each_channel_and_speaker() {
    let one = Some("1");
    let reference =
        transcript(&[("Ahoy", "A", one), ("there.", "A", one), ("Who", "B", Some("2")), ("calls?", "B", Some("2"))]);
    let hypothesis =
        transcript(&[("Ahoy", "B", one), ("there", "C", one), ("who", "C", Some("2")), ("falls?", "C", None)]);
    let figures = measured(&reference, &hypothesis, &[]);
    assert_eq!((&figures["words"], &figures["substitutions"], &figures["wer"]), (&json!(4), &json!(1), &json!(0.25)));
    let counts = |hits, deletions| json!({ "hits": hits, "substitutions": 0, "deletions": deletions, "insertions": 0 });
    let channel = |name: &str, hits, deletions, rate: f64| {
        let mut channel = json!({ "channel": name, "words": 2, "wer": rate });
        channel.as_object_mut().expect("an object").append(counts(hits, deletions).as_object_mut().expect("an object"));
        channel
    };
    assert_eq!(figures["channels"], json!([channel("1", 2, 0, 0.0), channel("2", 1, 1, 0.5)]));
    let speakers = json!({
        "words": 4, "hits": 2, "substitutions": 1, "deletions": 1, "insertions": 1, "cpwer": 0.75,
        "pairs": [{ "reference": "A", "hypothesis": "B" }, { "reference": "B", "hypothesis": "C" }],
    });
    assert_eq!(figures["speakers"], speakers);
    // A plain text tells nobody apart.
    let plain = measured(&reference, "ahoy there who calls", &[]);
    assert_eq!((plain["wer"].clone(), plain.get("channels"), plain.get("speakers")), (json!(0.0), None, None));
}

#[test]
fn a_transcript_may_have_only_a_text_or_only_words_or_say_nothing() {
    for hypothesis in [
        r#"{"text": "one two"}"#,
        " {\"words\": [{\"text\": \"one\"}, {\"text\": \"two\", \"channel\": 2, \"speaker\": [\"odd\"]}]}",
        "\u{feff}{\"status\": \"completed\", \"text\": \"one two\", \"words\": null}",
    ] {
        assert_eq!(measured("One two.", hypothesis, &[])["wer"], 0.0, "{hypothesis}");
    }
    let silence = r#"{"status": "completed", "text": null, "words": []}"#;
    assert_eq!(measured("One two.", silence, &[])["deletions"], 2);
}

#[test]
fn characters_are_counted_where_the_script_has_no_spaces() {
    let figures = measured("你好，世界。", "你好世间", &[]);
    assert_eq!(figures["wer"], 1.0);
    let characters = json!({
        "characters": 4, "hits": 3, "substitutions": 1, "deletions": 0, "insertions": 0, "cer": 0.25,
    });
    assert_eq!(figures["characters"], characters);
    assert_eq!(measured("hello 世界", "hello", &[]).get("characters"), None);
}

#[test]
fn what_cannot_be_measured_ends_in_one_line_that_says_why() {
    let unfinished = r#"{"id": "x", "status": "processing", "text": null}"#;
    let long = "a ".repeat(250_001);
    let files = [
        ("good", "one two"),
        ("empty", ""),
        ("marks", "- (…)\n"),
        ("broken", "{\"text\": \"one"),
        ("object", "{\"one\": 2}"),
        ("unfinished", unfinished),
        ("long", &long),
        ("unspaced", &"你".repeat(250_001)),
    ];
    let both = |reference: &'static str, hypothesis| vec!["--reference", reference, "--hypothesis", hypothesis];
    let with = |more: &[&'static str]| [&both("good", "good")[..], more].concat();
    let is_none = "starts with {, but is no transcript of AssemblyAI: EOF while parsing a string at line 1 column 13";
    for (arguments, expected) in [
        (vec![], "--reference: missing; expected a file"),
        (vec!["--reference", "good"], "--hypothesis: missing; expected a file"),
        (vec!["--reference"], "--reference: missing; expected a value"),
        (with(&["--reference", "good"]), "--reference: given twice"),
        (with(&["--format", "json"]), "--format: unknown option; callscribe --help lists all options"),
        (with(&["--normalize", "Whisper"]), "--normalize: expected whisper-basic, assemblyai or none"),
        (with(&["--keyterms", "none"]), "none: cannot be read: No such file or directory (os error 2)"),
        (both("none", "good"), "none: cannot be read: No such file or directory (os error 2)"),
        (both("no\nne", "good"), "no ne: cannot be read: No such file or directory (os error 2)"),
        (both("good", "."), ".: cannot be read: Is a directory (os error 21)"),
        (
            both("empty", "good"),
            "empty: has no words with --normalize whisper-basic, so the word error rate is undefined",
        ),
        (
            both("marks", "good"),
            "marks: has no words with --normalize whisper-basic, so the word error rate is undefined",
        ),
        (both("good", "broken"), &format!("broken: {is_none}")),
        (both("object", "good"), "object: is no transcript of AssemblyAI: it has neither text nor words"),
        (both("unfinished", "good"), "unfinished: the transcript is not completed"),
        (both("good", "long"), "long: has 250001 words; the maximum is 250000"),
        (both("unspaced", "good"), "unspaced: has 250001 characters; the maximum is 250000"),
    ] {
        let ended = wer(&files, &arguments);
        assert_eq!((ended.code, &ended.stderr[..]), (Some(2), &[expected.to_owned()][..]), "{arguments:?}");
        assert!(ended.stdout.is_empty(), "{ended:?}");
    }
}

#[test]
fn a_file_in_another_encoding_is_refused() {
    let folder = Folder::new();
    let latin = folder.path().join("latin");
    std::fs::write(&latin, b"caf\xe9").expect("a file");
    let latin = latin.to_str().expect("UTF-8");
    let ended = Program::start(folder.path(), &["wer", "--reference", latin, "--hypothesis", latin], &[]).end();
    assert_eq!((ended.code, ended.stderr), (Some(2), vec![format!("{latin}: expected text in UTF-8")]));
}

#[test]
fn an_option_of_the_program_is_none_of_the_command() {
    let folder = Folder::new();
    for arguments in [&["--sandbox", "wer"][..], &["wer", "--sandbox"], &["check", "wer"]] {
        let ended = Program::start(folder.path(), arguments, &[]).end();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        let last = arguments[arguments.len() - 1];
        assert_eq!(ended.stderr, [format!("{last}: unknown option; callscribe --help lists all options")]);
    }
}
