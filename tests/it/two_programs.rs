//! Two instances of the program on one PostgreSQL database, as behind a load balancer: they share the jobs, and each job
//! is done exactly once. Skipped without `TEST_DATABASE_URL`, like `postgres`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use callscribe::sandbox::assemblyai::AssemblyAi;
use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::twilio::{Audio, SeededCall, SeededRecording, Twilio};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgListener};
use sqlx_core::migrate::Migrate;

use crate::support::command::{ENOUGH, Folder, Program, tunnel, with};
use crate::support::store::{Database, server};
use crate::support::{client, listen, variables};

/// Number of completed recordings that the programs receive callbacks for.
const RECORDINGS: usize = 1_000;

/// Number of callbacks that Twilio sends concurrently.
const AT_ONCE: usize = 32;

/// Number of recordings of a trial.
const TRIED: usize = 30;

/// The operator token of the programs.
const TOKEN: &str = "open-sesame-open";

/// Time for all transcripts. Leases and pauses after failures last seconds, so anything missing by then is lost.
const TIMEOUT: Duration = Duration::from_secs(180);

/// Notifies of each completed transcript when it is committed.
const NOTIFY: &str = "
    CREATE FUNCTION notify_stored() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_notify(current_schema(), NEW.id); RETURN NULL; END $$;
    CREATE TRIGGER notify_stored AFTER UPDATE OF state ON transcripts
        FOR EACH ROW WHEN (NEW.state = 'completed') EXECUTE FUNCTION notify_stored()";

/// Starts the program on the database at this URL. Returns it with its public address.
pub(crate) async fn start(
    folder: &Folder,
    database: &str,
    twilio: &Twilio,
    assemblyai: &AssemblyAi,
) -> (Program, String) {
    let entrance = listen().await;
    let base = format!("http://{}", entrance.local_addr().expect("a bound listener"));
    let own = variables(&base, twilio.url(), assemblyai.url());
    let mut own: Vec<(&str, &str)> = own.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    own.extend([("DATABASE_URL", database), ("OPERATOR_TOKEN", TOKEN)]);
    let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &own));
    tokio::spawn(tunnel(entrance, program.address()));
    (program, base)
}

/// Listens for transcripts that are completed from now on.
pub(crate) async fn listen_for_transcripts(store: &Database) -> PgListener {
    let mut database = PgConnection::connect(&store.url).await.expect("a connection");
    sqlx::raw_sql(NOTIFY).execute(&mut database).await.expect("a trigger");
    let schema: String =
        sqlx::query_scalar("SELECT current_schema()::text").fetch_one(&mut database).await.expect("a name");
    let mut stored = PgListener::connect(&store.url).await.expect("a connection");
    stored.listen(&schema).await.expect("a notification");
    stored
}

/// Waits until this many transcripts are completed.
pub(crate) async fn until_stored(stored: &mut PgListener, all: usize) {
    let mut transcripts = HashSet::new();
    let storing = async {
        while transcripts.len() < all {
            transcripts.insert(stored.recv().await.expect("a notification").payload().to_owned());
        }
    };
    let in_time = tokio::time::timeout(TIMEOUT, storing).await.is_ok();
    assert!(in_time, "only {} are stored", transcripts.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_on_one_database_share_the_jobs_and_submit_each_transcript_once() {
    let Some(server) = server() else { return };
    let (store, folder) = (Database::postgres(&server), Folder::new());
    let twilio = Twilio::start(listen().await, Pace::instant());
    let assemblyai = AssemblyAi::start(listen().await, Pace::instant());
    let (one, one_base) = start(&folder, &store.url, &twilio, &assemblyai).await;
    let (other, other_base) = start(&folder, &store.url, &twilio, &assemblyai).await;

    let mut stored = listen_for_transcripts(&store).await;
    let seed = |_| {
        let call_sid = twilio.add_call(SeededCall::default());
        let audio = Audio::Marked { bytes: 0 };
        twilio.add_recording(SeededRecording { call_sid, audio, ..Default::default() })
    };
    let recordings: HashSet<String> = (0..RECORDINGS).map(seed).collect();

    // Callbacks alternate between the programs; every tenth goes to both at once.
    let (twilio, hooks) = (&twilio, &[one_base, other_base].map(|base| format!("{base}/hooks/twilio/recording")));
    let send = |(number, recording): (usize, String)| async move {
        let [first, second] = [&hooks[number % 2], &hooks[(number + 1) % 2]];
        let statuses = if number.is_multiple_of(10) {
            let both = [first, second].map(|hook| twilio.send_recording_callback(&recording, hook));
            futures_util::future::join_all(both).await
        } else {
            vec![twilio.send_recording_callback(&recording, first).await]
        };
        assert!(statuses.iter().all(|status| *status == Some(204)), "{statuses:?}");
    };
    stream::iter(recordings.clone().into_iter().enumerate()).for_each_concurrent(AT_ONCE, send).await;

    until_stored(&mut stored, RECORDINGS).await;
    let once = recordings.iter().map(|recording| (recording.clone(), 1)).collect::<HashMap<_, u64>>();
    assert!(assemblyai.accepted_per_recording() == once, "each recording is paid for once");
    let mut database = PgConnection::connect(&store.url).await.expect("a connection");
    let texts: Vec<(String, String)> =
        sqlx::query_as("SELECT recording_sid, text FROM transcripts").fetch_all(&mut database).await.expect("texts");
    assert_eq!(texts.len(), RECORDINGS);
    let of: HashSet<String> = texts.iter().map(|(recording, _)| recording.clone()).collect();
    assert!(of == recordings, "each recording has a transcript");
    for (recording, text) in &texts {
        assert!(text.ends_with(recording.as_str()), "{recording}: {text}");
    }
    for program in [one, other] {
        program.signal("TERM");
        let ended = program.end();
        assert_eq!(ended.code, Some(0), "{}", ended.all());
        assert!(
            ended.stderr.iter().any(|line| line.contains("submitted to AssemblyAI")),
            "this program did part of the work"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_on_one_database_share_a_trial_and_submit_each_of_its_orders_once() {
    let Some(server) = server() else { return };
    let (store, folder) = (Database::postgres(&server), Folder::new());
    let twilio = Twilio::start(listen().await, Pace::instant());
    let assemblyai = AssemblyAi::start(listen().await, Pace::instant());
    let (one, one_base) = start(&folder, &store.url, &twilio, &assemblyai).await;
    let (other, other_base) = start(&folder, &store.url, &twilio, &assemblyai).await;
    let mut stored = listen_for_transcripts(&store).await;
    for _ in 0..TRIED {
        let call_sid = twilio.add_call(SeededCall::default());
        let audio = Audio::Marked { bytes: 0 };
        let recording = twilio.add_recording(SeededRecording { call_sid, audio, ..Default::default() });
        let hook = format!("{one_base}/hooks/twilio/recording");
        assert_eq!(twilio.send_recording_callback(&recording, &hook).await, Some(204));
    }
    until_stored(&mut stored, TRIED).await;

    // The same confirmation reaches both at once.
    let wanted =
        json!({"filter": {}, "speech_models": ["universal-2", "assemblyai-stt-3-7"], "again": true, "confirm": true});
    let http = client();
    let confirm = async |base: &str| {
        let request = http.post(format!("{base}/trials")).bearer_auth(TOKEN).header("idempotency-key", "one");
        let answer = request.json(&wanted).send().await.expect("an answer");
        assert_eq!(answer.status(), 201);
        answer.json::<Value>().await.expect("JSON")["id"].clone()
    };
    let (first, second) = tokio::join!(confirm(&one_base), confirm(&other_base));
    assert_eq!(first, second);
    until_stored(&mut stored, 2 * TRIED).await;
    let times: Vec<u64> = assemblyai.accepted_per_recording().into_values().collect();
    assert_eq!(times, vec![3; TRIED], "each order is paid for once");
    let shown = http.get(format!("{other_base}/trials/{}", first.as_str().expect("an id"))).bearer_auth(TOKEN).send();
    let shown: Value = shown.await.expect("an answer").json().await.expect("JSON");
    let all = json!({"total": 2 * TRIED, "completed": 2 * TRIED, "failed": 0});
    assert_eq!((&shown["state"], &shown["transcripts"]), (&json!("done"), &all));
    for program in [one, other] {
        program.signal("TERM");
        assert_eq!(program.end().code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_waits_for_another_programs_migration() {
    let Some(server) = server() else { return };
    let (store, folder) = (Database::postgres(&server), Folder::new());
    let mut other = PgConnection::connect(&store.url).await.expect("a connection");
    other.lock().await.expect("the migration lock");
    let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &[("DATABASE_URL", &store.url)]));
    program.wait_for_log("another program is updating the tables on this server; waiting for it");
    other.unlock().await.expect("the lock is released");
    program.address();
}
