//! What an operator does with the pages in a real Chromium: dial, watch, listen, read, search, export, delete. The program
//! runs with its sandbox, where calls proceed on their own; `pages_in_browser.py` plays the operator.
//!
//! These tests run where `chromium` is installed and `CALLSCRIBE_TEST_PYTHON` names a Python with
//! `tests/it/requirements.txt`. With `SCREENSHOTS=<folder>`, they save screenshots there.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

use crate::support::browser;
use crate::support::command::{Folder, Program};
use crate::typed_call;
use crate::vendor_clients::test_python;

/// The operator token of the scenarios that log in.
const TOKEN: &str = "open-sesame-open";

/// Runs this scenario of `pages_in_browser.py` against a new program.
fn operator(scenario: &str) {
    operator_with(scenario, &[]);
}

/// The same, with settings for the program.
fn operator_with(scenario: &str, settings: &[(&str, &str)]) {
    let Some(python) = test_python().filter(|_| browser::is_there()) else { return };
    let folder = Folder::new();
    let mut program = Program::sandbox(folder.path(), settings);
    let base = format!("http://{}", program.address());
    let Output { status, stdout, stderr } =
        player(python, scenario, &base).output().expect("CALLSCRIBE_TEST_PYTHON starts");
    let output = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(status.success(), "{output}");
}

/// The operator in this scenario.
fn player(python: impl AsRef<std::ffi::OsStr>, scenario: &str, base: &str) -> Command {
    let mut player = Command::new(python);
    player
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/pages_in_browser.py"), scenario, base])
        .env("NO_PROXY", "*")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("TOKEN", TOKEN)
        .env("SPEECH", concat!(env!("CARGO_MANIFEST_DIR"), "/src/sandbox/speech/speech.wav"));
    player
}

#[test]
fn an_open_page_follows_a_call_to_its_transcript_which_can_be_played_read_and_exported() {
    operator("follows");
}

#[test]
fn both_sides_of_a_conversation_are_watched_named_and_swapped_and_every_format_follows() {
    operator("talks");
}

#[test]
fn search_finds_and_plays_what_was_said_and_a_deleted_call_leaves_open_pages() {
    operator("finds");
}

#[test]
fn the_days_of_a_search_are_those_of_its_reader_and_a_link_to_it_keeps_them() {
    operator("finds_by_day");
}

#[test]
fn a_page_says_when_its_server_is_gone_or_silent_and_when_it_is_back() {
    let often = ["DIAL_PER_MINUTE", "DIAL_PER_HOUR", "DIAL_PER_DAY"].map(|name| (name, "100"));
    operator_with("says_what_it_is_connected_to", &often);
}

#[test]
fn a_browser_is_led_to_the_log_in_page_and_back_and_loses_nothing_that_was_typed() {
    operator_with("logs_in", &[("OPERATOR_TOKEN", TOKEN)]);
}

#[test]
fn many_files_are_sent_from_the_page_and_continue_where_the_connection_broke() {
    operator("uploads_many");
}

#[test]
fn the_page_of_a_trial_follows_it_and_takes_neither_the_focus_nor_the_place() {
    operator("follows_a_trial");
}

#[test]
fn the_text_follows_the_playback_and_the_focus_is_never_under_the_player() {
    operator("reads_along");
}

#[test]
fn keys_play_a_recording_at_any_speed_and_go_to_unsure_words_even_while_somebody_types() {
    operator("plays_by_keys");
}

#[test]
fn a_player_that_cannot_load_its_audio_says_so_and_why() {
    operator("says_why_nothing_plays");
}

#[test]
fn who_clicks_into_a_transcript_corrects_it_by_typing_and_can_take_that_back() {
    operator("corrects");
}

/// Prints the keys that each kind of correction costs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrections_of_a_ten_minute_call_by_keyboard_alone_survive_a_kill_of_the_server() {
    let Some(python) = test_python().filter(|_| browser::is_there()) else { return };
    let mut call = typed_call::TypedCall::start().await;
    let mut player = player(python, "corrects_by_keyboard", &call.base)
        .env("TRANSCRIPT", &call.transcript)
        .env("CORRECTIONS", call.corrections())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("CALLSCRIBE_TEST_PYTHON starts");
    let mut answer = player.stdin.take().expect("a pipe");
    for line in BufReader::new(player.stdout.take().expect("a pipe")).lines() {
        match line.expect("text").as_str() {
            "kill" => call.kill(),
            "start" => {
                call.start_again();
                writeln!(answer, "started").expect("the player reads");
            }
            other => println!("{other}"),
        }
    }
    assert!(player.wait().expect("a child").success());
}

#[test]
fn corrections_are_made_by_key_where_there_is_no_player() {
    operator("corrects_without_a_player");
}

#[test]
fn corrections_tell_speakers_apart_where_there_was_one_voice() {
    operator("says_who_speaks_where_nobody_was_told_apart");
}

#[test]
fn corrections_keep_their_place_when_the_paragraph_is_split_or_a_dialog_opens() {
    operator("keeps_its_place");
}

#[test]
fn corrections_are_offered_wherever_the_same_was_heard() {
    operator("corrects_alike");
}

#[test]
fn two_who_correct_a_transcript_see_each_others_words_and_choose_where_both_changed_the_same() {
    operator("corrects_at_once");
}

#[test]
fn the_name_of_a_speaker_opens_a_choice_of_who_says_a_paragraph_or_all_from_there_on() {
    operator("says_who_speaks");
}

#[test]
fn corrections_survive_a_lost_connection_and_a_closed_page_and_arrive_once() {
    operator("loses_nothing");
}

#[test]
fn corrections_that_are_typed_after_a_session_has_ended_are_saved_after_the_next_log_in() {
    operator_with("corrects_after_log_in", &[("OPERATOR_TOKEN", TOKEN)]);
}

#[test]
fn a_name_that_is_given_elsewhere_reaches_an_open_page_and_what_it_copies() {
    operator("follows_names");
}

#[test]
fn a_finished_transcript_comes_first_on_a_phone_and_its_timeline_is_closed() {
    operator("reads_on_a_phone");
}

#[test]
fn a_finger_undoes_corrections_and_goes_to_unsure_words_with_buttons_below_the_player() {
    operator("corrects_by_finger");
}

#[test]
fn pages_are_accessible_small_and_no_wider_than_the_window() {
    operator("is_accessible");
}

#[test]
fn an_open_page_does_not_shift_when_a_call_gets_its_transcript() {
    operator("is_not_disturbed");
}

#[test]
fn an_open_page_does_not_shift_when_a_call_gets_no_transcript() {
    operator_with("is_not_disturbed", &[("ASSEMBLYAI_SPEECH_MODELS", "universal-0")]);
}

#[test]
fn each_call_is_on_one_page_of_a_list_that_was_open_when_the_call_arrived() {
    let often = ["DIAL_PER_MINUTE", "DIAL_PER_HOUR", "DIAL_PER_DAY"].map(|name| (name, "100"));
    operator_with("loses_no_call", &often);
}

#[test]
fn everything_but_live_updates_and_synchronized_words_works_without_scripts() {
    operator("works_without_scripts");
}

/// Remakes `src/manual/call.png` when run with `SCREENSHOTS=src/manual`.
#[test]
fn the_picture_of_the_manual_can_be_taken() {
    operator("pictures_a_call");
}
