//! What a person does with the pages in a real Chromium: dial, watch, listen, read, search, take away, delete. The program
//! runs in its sandbox, where everything happens by itself; `pages_in_browser.py` is the person.
//!
//! These facts are looked at where `chromium` is installed and `CALLSCRIBE_TEST_PYTHON` names a Python with
//! `tests/it/requirements.txt`. With `SCREENSHOTS=<folder>`, the pages that are looked at are drawn there.

use std::process::{Command, Output};

use crate::support::browser;
use crate::support::command::{Folder, Program};
use crate::vendor_clients::test_python;

/// Has a person do this with a program of its own.
fn person(does: &str) {
    person_with(does, &[]);
}

/// The same, with settings.
fn person_with(does: &str, settings: &[(&str, &str)]) {
    let Some(python) = test_python().filter(|_| browser::is_there()) else { return };
    let folder = Folder::new();
    let mut program = Program::sandbox(folder.path(), settings);
    let base = format!("http://{}", program.address());
    let Output { status, stdout, stderr } = Command::new(python)
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/pages_in_browser.py"), does, &base])
        .env("NO_PROXY", "*")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SPEECH", concat!(env!("CARGO_MANIFEST_DIR"), "/src/sandbox/speech/speech.wav"))
        .output()
        .expect("CALLSCRIBE_TEST_PYTHON starts");
    let said = [stdout, stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(status.success(), "{said}");
}

#[test]
fn a_call_moves_to_its_transcript_before_the_readers_eyes_and_is_heard_read_and_taken_away() {
    person("follows");
}

#[test]
fn what_was_said_is_found_and_heard_and_a_deleted_call_is_gone_from_open_pages() {
    person("finds");
}

#[test]
fn pages_are_accessible_small_and_as_wide_as_the_window() {
    person("is_accessible");
}

#[test]
fn nothing_that_is_read_is_moved_by_a_call_that_gets_its_transcript() {
    person("is_not_disturbed");
}

#[test]
fn nothing_that_is_read_is_moved_by_a_call_that_gets_none() {
    person_with("is_not_disturbed", &[("ASSEMBLYAI_SPEECH_MODELS", "universal-0")]);
}

#[test]
fn each_call_is_on_one_page_of_a_list_that_was_open_when_it_came() {
    let often = ["DIAL_PER_MINUTE", "DIAL_PER_HOUR", "DIAL_PER_DAY"].map(|name| (name, "100"));
    person_with("loses_no_call", &often);
}

#[test]
fn all_but_live_changes_and_words_tied_to_sound_works_without_scripts() {
    person("works_without_scripts");
}
