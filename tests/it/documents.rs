//! A transcript as Markdown and as DOCX: who says what when, whatever is said, and what the file is called. LibreOffice reads
//! the DOCX where it is installed.

use std::fs;
use std::process::Command;

use callscribe::export::{Document, Paragraph, docx, markdown};
use callscribe::sandbox::control::Fault;
use flate2::CrcReader;
use flate2::read::DeflateDecoder;
use pulldown_cmark::{Event, Parser, Tag};
use reqwest::Method;
use serde_json::json;

use crate::contacts::name;
use crate::speakers::{said, text};
use crate::support::World;
use crate::support::browser::finds;
use crate::support::command::Folder;

/// The parts of a DOCX, in their order.
const PARTS: [&str; 6] = [
    "[Content_Types].xml",
    "_rels/.rels",
    "word/document.xml",
    "word/_rels/document.xml.rels",
    "word/styles.xml",
    "docProps/core.xml",
];

/// Texts with markup, controls and other scripts.
const TEXTS: [&str; 28] = [
    "# a",
    "- a",
    "+ a",
    "1. a",
    "23) a",
    "> a",
    "=",
    "---",
    "a\n\nb",
    "`a` *b* _c_ **d** ~~e~~",
    "[a](b) ![c](d)",
    "[a]: b",
    "<b>a</b> <!-- b",
    "&amp; &#65;",
    "a\\",
    "\\*",
    "| a | b |",
    "\0\u{1}\u{b}a\u{fffe}\u{ffff}",
    "]]>",
    "\"a\" 'b'",
    "שלום 会议 👩‍👩‍👧",
    "x__y__",
    "http://example.com <http://a.b>",
    "\u{202e}turned\u{202c}",
    "Q&A",
    "a\tb\u{85}c",
    "$5 or $6",
    "é e\u{301}",
];

/// A document as it is mostly.
fn letter() -> Document {
    let said = |speaker, start, text| Paragraph::new(Some(speaker), Some(start), text);
    Document {
        title: "Ada Lovelace, 2026-11-29 14:05".to_owned(),
        facts: "Call to +14155551234 · 2026-11-29 14:05:07 +01:00 · Length 1:05:09".to_owned(),
        created: Some("2026-11-29T13:05:07Z".to_owned()),
        language: Some("en-US".to_owned()),
        paragraphs: vec![
            said("Ada Lovelace", 400, "Hello, this is Ada."),
            said("Operator", 65_900, "Is it Q&A, or <b>R&D</b>?"),
            said("Ada Lovelace", 3_605_000, "It is\u{b} \u{202e}both."),
            Paragraph::new(None, None, "Nobody knows when."),
        ],
    }
}

/// One with [`TEXTS`] everywhere, and its lines as people must read them.
fn hostile() -> (Document, Vec<String>) {
    let (title, facts) = (format!("# {}", TEXTS.join(" ")), format!("- {}", TEXTS.join(" ")));
    let mut lines = vec![shown(&title), shown(&facts)];
    let mut paragraphs = Vec::new();
    for text in TEXTS {
        paragraphs.push(Paragraph::new(Some(text), Some(3_725_999), text));
        lines.push(format!("{} [1:02:05] {}", shown(text), shown(text)));
        paragraphs.push(Paragraph::new(None, None, text));
        lines.push(shown(text));
    }
    (Document { title, facts, created: None, language: None, paragraphs }, lines)
}

/// A text without what cannot be seen, on one line.
fn shown(text: &str) -> String {
    let visible = |c: &char| c.is_whitespace() || !c.is_control() && !"\u{fffe}\u{ffff}\u{202e}\u{202c}".contains(*c);
    text.chars().filter(visible).collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The XML of a part of a DOCX.
fn part(docx: &[u8], name: &str) -> String {
    let number = |at: usize, bytes: usize| {
        docx[at..at + bytes].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let end = docx.len() - 22;
    let mut at = number(end + 16, 4);
    for _ in 0..number(end + 10, 2) {
        let [length, extra] = [28, 30].map(|place| number(at + place, 2));
        if docx[at + 46..].starts_with(name.as_bytes()) && length == name.len() {
            let header = number(at + 42, 4);
            let data = header + 30 + number(header + 26, 2) + number(header + 28, 2);
            let mut reader = CrcReader::new(DeflateDecoder::new(&docx[data..data + number(at + 20, 4)]));
            let text = std::io::read_to_string(&mut reader).expect("UTF-8");
            assert_eq!((text.len(), reader.crc().sum() as usize), (number(at + 24, 4), number(at + 16, 4)), "{name}");
            return text;
        }
        at += 46 + length + extra;
    }
    panic!("there is no {name}");
}

/// The paragraphs of a DOCX as LibreOffice reads them. `None` if it is not installed; with `REQUIRE_OFFICE=1` that is a failure.
fn read_by_libreoffice(docx: &[u8]) -> Option<Vec<String>> {
    if !finds("soffice") {
        assert!(std::env::var_os("REQUIRE_OFFICE").is_none_or(|value| value != "1"), "there is no soffice");
        println!("skipped: there is no soffice");
        return None;
    }
    let folder = Folder::new();
    let path = folder.path();
    fs::write(path.join("a.docx"), docx).expect("a file");
    let mut office = Command::new("soffice");
    office.arg(format!("-env:UserInstallation=file://{}/profile", path.display()));
    office
        .args(["--headless", "--convert-to", "txt:Text (encoded):UTF8", "--outdir"])
        .arg(path)
        .arg(path.join("a.docx"));
    let output = office.env("HOME", path).output().expect("soffice starts");
    let text = fs::read_to_string(path.join("a.txt")).unwrap_or_else(|_| panic!("soffice wrote no text: {output:?}"));
    Some(text.trim_start_matches('\u{feff}').lines().map(str::to_owned).collect())
}

#[test]
fn a_document_names_who_speaks_and_when() {
    let docx = docx(&letter());
    let parts = ["word/document.xml", "docProps/core.xml"].map(|name| part(&docx, name).replace("><", ">\n<"));
    insta::assert_snapshot!(format!("{}\n{}", markdown(&letter()), parts.join("\n")));
    assert_eq!(docx, callscribe::export::docx(&letter()), "the same document is the same file");
}

#[test]
fn nothing_that_is_said_is_markup_in_markdown() {
    let (document, lines) = hostile();
    let text = markdown(&document);
    let mut read = Vec::new();
    for event in Parser::new(&text) {
        match event {
            Event::Start(Tag::Paragraph | Tag::Heading { .. }) => read.push(String::new()),
            Event::Text(text) => read.last_mut().expect("a paragraph").push_str(&text),
            Event::Start(Tag::Strong) | Event::End(_) => {}
            other => panic!("{other:?} in {text}"),
        }
    }
    assert_eq!(read, lines, "{text}");
}

#[test]
fn every_part_of_a_docx_is_well_formed_whatever_is_said() {
    let docx = docx(&hostile().0);
    for name in PARTS {
        let xml = part(&docx, name);
        let forbidden = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{fffe}' | '\u{ffff}');
        assert!(!xml.contains(forbidden), "{name}: {xml}");
        let mut reader = quick_xml::Reader::from_str(&xml);
        while reader.read_event().expect("well-formed XML") != quick_xml::events::Event::Eof {}
    }
}

#[test]
fn libreoffice_reads_the_same_words() {
    let (document, lines) = hostile();
    let Some(read) = read_by_libreoffice(&docx(&document)) else { return };
    assert_eq!(read, lines);
}

#[tokio::test]
async fn a_transcript_is_a_document_with_its_speakers_and_corrections_dated_in_the_zone_of_its_reader() {
    let world = World::new().await;
    let word = |text: &str, channel: &str, start: u64| json!({"text": text, "start": start, "end": start + 300, "confidence": 0.9, "channel": channel, "speaker": channel});
    let words = [word("Hoy!", "1", 0), word("Who?", "2", 1_000), word("Me,", "1", 62_000), word("Ada.", "1", 62_400)];
    let (sid, id) = &said(&world, &words).await;
    name(&world, "+14155551234", "Ada \"Löve\" 1/2").await;
    let call = world.call(sid).await;
    let corrected = world
        .post_json(
            &format!("/transcript/{id}/corrections"),
            &json!({"version": 0, "from": 0, "to": 1, "text": "Ahoy<&"}),
        )
        .await;
    assert_eq!(corrected.status, 200, "{}", corrected.text());
    let at: jiff::Timestamp = call["created_at"].as_str().expect("a time").parse().expect("a time");
    let spoken_text: Vec<String> = text(&world, id).await.lines().map(str::to_owned).collect();
    assert_eq!(spoken_text[0], "Ada \"Löve\" 1/2: Ahoy<&");
    let length = call["recordings"][1]["duration_seconds"].as_i64().expect("a length");

    for (zone, in_zone, offset) in [("", "UTC", "UTC"), ("?zone=Asia/Kolkata", "Asia/Kolkata", "+05:30")] {
        let zoned = at.in_tz(in_zone).expect("a zone");
        let path =
            format!("/transcript/{id}{}format=", if zone.is_empty() { "?".to_owned() } else { format!("{zone}&") });
        let md = world.get(&format!("{path}md")).await;
        let docx = world.get(&format!("{path}docx")).await;
        assert_eq!(md.header("content-type"), "text/markdown; charset=utf-8");
        assert_eq!(
            docx.header("content-type"),
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
        );
        let title = format!("Ada \"Löve\" 1/2, {}", zoned.strftime("%Y-%m-%d %H:%M"));
        let facts = format!(
            "Call to +14155551234 · {} {offset} · Length 0:{length:02} · Not checked",
            zoned.strftime("%Y-%m-%d %H:%M:%S")
        );
        let text = md.text();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(format!("# {title}").as_str()), "{text}");
        assert_eq!(lines.nth(1).map(|line| line.replace('\\', "")), Some(facts.clone()), "{text}");
        assert!(text.contains("\\<\\&") && text.contains("\n**Operator** [0:00:01] Who?\n"), "{text}");
        let xml = part(&docx.body, "word/document.xml");
        assert!(xml.contains("Ahoy&lt;&amp;") && xml.contains(&facts), "{xml}");
        if let Some(read) = read_by_libreoffice(&docx.body) {
            assert_eq!((&read[0], &read[1]), (&title, &facts));
            // The same words of the same speakers as in the text. There, a speaker is named once and no time.
            let mut spoken: Vec<(String, String)> = Vec::new();
            for line in &read[2..] {
                let (speaker, rest) = line.split_once(" [").expect("a time");
                let words = &rest[rest.find("] ").expect("the end of a time") + 2..];
                match spoken.last_mut().filter(|(last, _)| last == speaker) {
                    Some((_, before)) => *before += &format!(" {words}"),
                    None => spoken.push((speaker.to_owned(), words.to_owned())),
                }
            }
            let spoken: Vec<String> = spoken.iter().map(|(speaker, words)| format!("{speaker}: {words}")).collect();
            assert_eq!(spoken, spoken_text);
        }
        let date = zoned.strftime("%Y-%m-%d %H.%M").to_string();
        let plain = format!("inline; filename=\"{date} Ada _L_ve_ 1_2.docx\"; filename*=UTF-8''");
        assert!(docx.header("content-disposition").starts_with(&plain), "{}", docx.header("content-disposition"));
        assert!(docx.header("content-disposition").contains("Ada%20%5FL%C3%B6ve%5F%201%5F2%2Edocx"));
    }

    let original = world.get(&format!("/transcript/{id}?format=md&original=true&speakers=none")).await.text();
    assert!(
        !original.contains("Ahoy") && !original.contains("**") && original.contains("[0:01:02] Me, Ada."),
        "{original}"
    );
    for wrong in ["zone=Nowhere", "format=pdf"] {
        world.get(&format!("/transcript/{id}?{wrong}")).await.problem(400, "bad-request");
    }
    // A browser may know a zone that is not known here.
    let answer = world.get_with(&format!("/transcript/{id}?format=md&zone=Nowhere"), &[("accept", "text/html")]).await;
    assert!(answer.text().contains(" UTC · "), "{}", answer.text());
}

#[tokio::test]
async fn a_transcript_that_is_not_in_the_store_is_a_document_too_and_an_untimed_text_is_one_paragraph() {
    let world = World::new().await;
    let order = world.http.post(format!("{}/v2/transcript", world.assemblyai.url()));
    let order = order.header("authorization", "sandbox-assemblyai-key");
    let created = order.json(&json!({"audio_url": "https://example.com/a.wav"})).send().await.expect("an answer");
    let created: serde_json::Value = created.json().await.expect("JSON");
    let id = created["id"].as_str().expect("an id");
    let body = json!({"id": id, "status": "completed", "text": "Just\nwords.", "words": null}).to_string();
    world.assemblyai.control.fail_next(Method::GET, id, Fault::wrong_body(body));
    let answer = world.get(&format!("/transcript/{id}?format=md")).await;
    assert_eq!(answer.text(), "# Recording without a call\n\nNot checked\n\nJust words.\n");
    assert_eq!(answer.header("content-disposition"), format!("inline; filename=\"transcript-{id}.md\""));
}
