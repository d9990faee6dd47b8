//! Whether the settings are right: `callscribe check`, and the same questions at the start.

use callscribe::sandbox::control::Fault;
use callscribe::sandbox::twilio;
use reqwest::Method;

use crate::support::command::{ENOUGH, Ended, Folder, Program, with};
use crate::support::{World, refuse, steps_repeat};

const FOREIGN: (&str, &str) = ("TWILIO_PHONE_NUMBER", "+14155550123");
const NEITHER: &str = "TWILIO_PHONE_NUMBER: is neither a number nor a verified caller id of the Twilio account, so Twilio \
                       refuses calls from it";
/// Nothing listens there.
const NOBODY: &str = "http://127.0.0.1:1";

/// Runs `callscribe check` with the vendors of this world, and the program there at `BASE_URL`.
fn checked(world: &World, settings: &[(&str, &str)]) -> Ended {
    let vendors = [
        ("TWILIO_API_URL", world.twilio.url()),
        ("ASSEMBLYAI_API_URL", world.assemblyai.url()),
        ("BASE_URL", world.base.as_str()),
    ];
    let environment = with(&with(&ENOUGH, &vendors), settings);
    let ended = Program::start(Folder::new().path(), &["check"], &environment).end();
    for secret in [twilio::AUTH_TOKEN, callscribe::sandbox::assemblyai::API_KEY] {
        assert!(!ended.all().contains(secret), "{ended:?}");
    }
    ended
}

/// The line about these settings.
fn line<'e>(ended: &'e Ended, subject: &str) -> &'e str {
    let line = ended.stdout.iter().find(|line| line.contains(&format!("  {subject}")));
    line.unwrap_or_else(|| panic!("no line about {subject}: {ended:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn right_settings_are_good_one_by_one_and_each_vendor_gets_one_request() {
    let world = World::new().await;
    let ended = checked(&world, &[]);
    assert_eq!(
        ended.stdout,
        [
            "good     TWILIO_ACCOUNT_SID and credentials: Twilio accepts them".to_owned(),
            "good     TWILIO_PHONE_NUMBER: belongs to the account".to_owned(),
            "good     ASSEMBLYAI_KEY: AssemblyAI accepts it".to_owned(),
            "good     ASSEMBLYAI_SPEECH_MODELS: none of assemblyai-stt-3-7, universal-2 is known to be deprecated"
                .to_owned(),
            format!(
                "good     BASE_URL: {} answers as callscribe does; the URL names this computer, so no vendor elsewhere \
                 can reach it",
                world.base
            ),
        ]
    );
    assert_eq!((ended.code, world.vendor_requests()), (Some(0), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_wrong_with_the_settings_to_look_at_and_the_vendors_words() {
    let world = World::new().await;
    let ended = checked(&world, &[("TWILIO_AUTH_TOKEN", "mistyped"), ("ASSEMBLYAI_KEY", "mistyped")]);
    let twilio = line(&ended, "TWILIO_ACCOUNT_SID");
    assert!(twilio.starts_with("wrong ") && twilio.contains("check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"));
    assert!(twilio.ends_with("Authenticate (code 20003)"), "{twilio}");
    assert!(line(&ended, "TWILIO_PHONE_NUMBER").starts_with("unknown "));
    let assemblyai = line(&ended, "ASSEMBLYAI_KEY");
    assert!(assemblyai.starts_with("wrong ") && assemblyai.contains("check ASSEMBLYAI_KEY; "), "{assemblyai}");
    assert_eq!((ended.code, world.vendor_requests()), (Some(1), 3));
    assert!(!ended.all().contains("mistyped"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_id_must_be_a_number_or_a_verified_caller_id_of_the_account() {
    let world = World::new().await;
    let ended = checked(&world, &[FOREIGN]);
    assert_eq!(line(&ended, "TWILIO_PHONE_NUMBER"), format!("wrong    {NEITHER}"));
    assert_eq!((ended.code, world.vendor_requests()), (Some(1), 3));

    let verified = format!(r#"{{"outgoing_caller_ids": [{{"phone_number": "{}"}}]}}"#, FOREIGN.1);
    world.twilio.control.fail_next(Method::GET, "/OutgoingCallerIds.json", Fault::wrong_body(verified));
    let ended = checked(&world, &[FOREIGN]);
    let expected = "good     TWILIO_PHONE_NUMBER: is a verified caller id of the account";
    assert_eq!((ended.code, line(&ended, "TWILIO_PHONE_NUMBER")), (Some(0), expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_that_may_not_read_numbers_is_good_and_the_caller_id_unknown() {
    let world = World::new().await;
    for status in [401, 403, 404] {
        world.twilio.control.fail_next(Method::GET, "/IncomingPhoneNumbers.json", refuse(status));
        let ended = checked(&world, &[]);
        assert!(line(&ended, "TWILIO_ACCOUNT_SID").starts_with("good "), "{ended:?}");
        assert!(line(&ended, "TWILIO_PHONE_NUMBER").starts_with("unknown "), "{ended:?}");
        assert_eq!(ended.code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn vendors_that_do_not_answer_leave_open_what_is_right() {
    let world = World::new().await;
    world.assemblyai.control.fail_next(Method::GET, "/v2/transcript", refuse(503));
    let ended = checked(&world, &[("TWILIO_API_URL", NOBODY), ("BASE_URL", NOBODY)]);
    for subject in ["TWILIO_ACCOUNT_SID", "TWILIO_PHONE_NUMBER", "ASSEMBLYAI_KEY", "BASE_URL"] {
        assert!(line(&ended, subject).starts_with("unknown "), "{ended:?}");
    }
    assert_eq!((ended.code, world.vendor_requests()), (Some(0), 1), "no retry");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_of_no_vendor_a_deprecated_model_and_a_host_without_address_are_wrong() {
    let world = World::new().await;
    let ended = checked(
        &world,
        &[
            ("TWILIO_API_URL", &world.base),
            ("ASSEMBLYAI_API_URL", &world.base),
            ("ASSEMBLYAI_SPEECH_MODELS", "universal-3-5-pro"),
            ("BASE_URL", "https://callscribe.invalid"),
        ],
    );
    for (subject, words) in [
        ("TWILIO_ACCOUNT_SID", "TWILIO_API_URL"),
        ("ASSEMBLYAI_KEY", "check ASSEMBLYAI_API_URL"),
        ("ASSEMBLYAI_SPEECH_MODELS", "has deprecated the speech model universal-3-5-pro"),
        ("BASE_URL", "the host of https://callscribe.invalid has no address"),
    ] {
        let line = line(&ended, subject);
        assert!(line.starts_with("wrong ") && line.contains(words), "{line}");
    }
    assert_eq!(ended.code, Some(1));
    let ended = checked(&world, &[("BASE_URL", world.twilio.url())]);
    assert!(line(&ended, "BASE_URL").contains("with status 401"), "{ended:?}");
    assert_eq!(ended.code, Some(0));
}

#[test]
fn check_reports_unreadable_settings_as_the_start_does_and_refuses_the_sandbox() {
    let folder = Folder::new();
    let ended = Program::start(folder.path(), &["check"], &with(&ENOUGH, &[("BASE_URL", "")])).end();
    assert_eq!((ended.code, ended.stdout.len()), (Some(2), 0));
    assert!(ended.stderr[0].starts_with("BASE_URL: missing"), "{ended:?}");
    let ended = Program::start(folder.path(), &["check", "--sandbox"], &[]).end();
    assert_eq!(ended.stderr, ["check: the sandbox has no settings to check; leave out --sandbox"]);
    assert_eq!((ended.code, folder.files().len()), (Some(2), 0), "nothing is created");
}

#[tokio::test]
async fn a_foreign_caller_id_is_on_the_pages_until_twilio_accepts_a_call() {
    let world = World::new().await;
    let none = Fault::wrong_body(r#"{"incoming_phone_numbers": []}"#);
    world.twilio.control.fail_next(Method::GET, "/IncomingPhoneNumbers.json", none);
    world.app.check_settings().await;
    let told = format!("When callscribe started: {NEITHER}.");
    assert!(world.get_with("/", &[("accept", "text/html")]).await.text().contains(&told));
    world.dial("14155551234").await;
    // A call that was placed by an aborted step is found, and not accepted a second time.
    if !steps_repeat() {
        assert!(!world.get_with("/", &[("accept", "text/html")]).await.text().contains(NEITHER));
    }
}

#[tokio::test]
async fn credentials_refused_at_the_start_are_told_once_on_the_pages() {
    let world = World::with(&[("TWILIO_AUTH_TOKEN", "mistyped")]).await;
    world.app.check_settings().await;
    let page = world.get_with("/", &[("accept", "text/html")]).await.text();
    assert!(page.contains("Twilio refuses the credentials: check TWILIO_ACCOUNT_SID"), "{page}");
    assert_eq!(page.matches("role=\"alert\"").count(), 1, "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_asks_once_it_listens_and_warns_of_what_is_wrong() {
    let world = World::new().await;
    let vendors = [("TWILIO_API_URL", world.twilio.url()), ("ASSEMBLYAI_API_URL", NOBODY), FOREIGN];
    let folder = Folder::new();
    let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &vendors));
    program.address();
    let warning = program.wait_for_log(NEITHER);
    assert!(warning.contains("WARN"), "{warning}");
    let unknown = program.wait_for_log("ASSEMBLYAI_KEY: not checked: AssemblyAI could not be reached");
    assert!(unknown.contains("INFO"), "{unknown}");
    assert_eq!(world.twilio.control.requests_to(Method::GET, "/OutgoingCallerIds.json").len(), 1);
}
