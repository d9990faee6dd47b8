//! Two instances of the program on one PostgreSQL, as behind a load balancer: they share the work, and none of it is
//! done twice or by nobody. Skipped without `TEST_DATABASE_URL`, like `postgres`.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use callscribe::sandbox::assemblyai::AssemblyAi;
use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::twilio::{Audio, SeededCall, SeededRecording, Twilio};
use futures_util::{StreamExt, stream};
use sqlx::Connection;
use sqlx::migrate::Migrate;
use sqlx::postgres::{PgConnection, PgListener};

use crate::support::command::{ENOUGH, Folder, Program, tunnel, with};
use crate::support::store::{Database, server};
use crate::support::{listen, variables};

/// Recordings that are finished when the programs hear of them.
const RECORDINGS: usize = 1_000;

/// Callbacks that Twilio sends at once.
const AT_ONCE: usize = 32;

/// What is not stored after this is lost: a lease runs out in seconds, and so does a pause after a failure.
const PATIENCE: Duration = Duration::from_secs(180);

/// Tells of each transcript that is stored, with its commit.
const TELL: &str = "
    CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_notify(current_schema(), NEW.id); RETURN NULL; END $$;
    CREATE TRIGGER tell AFTER UPDATE OF state ON transcripts
        FOR EACH ROW WHEN (NEW.state = 'completed') EXECUTE FUNCTION tell()";

/// Starts the program on this store; gives its public address, too.
async fn start(folder: &Folder, store: &Database, twilio: &Twilio, assemblyai: &AssemblyAi) -> (Program, String) {
    let entrance = listen().await;
    let base = format!("http://{}", entrance.local_addr().expect("a bound listener"));
    let own = variables(&base, twilio.url(), assemblyai.url());
    let mut own: Vec<(&str, &str)> = own.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    own.push(("DATABASE_URL", &store.url));
    let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &own));
    tokio::spawn(tunnel(entrance, program.address()));
    (program, base)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_on_one_database_share_the_work_and_order_each_transcript_once() {
    let Some(server) = server() else { return };
    let (store, folder) = (Database::postgres(&server), Folder::new());
    let twilio = Twilio::start(listen().await, Pace::instant());
    let assemblyai = AssemblyAi::start(listen().await, Pace::instant());
    let (one, one_base) = start(&folder, &store, &twilio, &assemblyai).await;
    let (other, other_base) = start(&folder, &store, &twilio, &assemblyai).await;

    let mut database = PgConnection::connect(&store.url).await.expect("a connection");
    sqlx::raw_sql(TELL).execute(&mut database).await.expect("a trigger");
    let schema: String =
        sqlx::query_scalar("SELECT current_schema()::text").fetch_one(&mut database).await.expect("a name");
    let mut stored = PgListener::connect(&store.url).await.expect("a connection");
    stored.listen(&schema).await.expect("news of the database");

    let seed = |_| {
        let call_sid = twilio.add_call(SeededCall::default());
        let audio = Audio::Marked { bytes: 0 };
        twilio.add_recording(SeededRecording { call_sid, audio, ..Default::default() })
    };
    let recordings: HashSet<String> = (0..RECORDINGS).map(seed).collect();

    // By turns, and now and then to both at the same time.
    let (twilio, hooks) = (&twilio, &[one_base, other_base].map(|base| format!("{base}/hooks/twilio/recording")));
    let tell = |(number, recording): (usize, String)| async move {
        let [first, second] = [&hooks[number % 2], &hooks[(number + 1) % 2]];
        let told = match number % 10 {
            0 => {
                let both = [first, second].map(|hook| twilio.send_recording_callback(&recording, hook));
                futures_util::future::join_all(both).await
            }
            _ => vec![twilio.send_recording_callback(&recording, first).await],
        };
        assert!(told.iter().all(|status| *status == Some(204)), "{told:?}");
    };
    stream::iter(recordings.clone().into_iter().enumerate()).for_each_concurrent(AT_ONCE, tell).await;

    let mut transcripts = HashSet::new();
    let storing = async {
        while transcripts.len() < RECORDINGS {
            transcripts.insert(stored.recv().await.expect("news of the database").payload().to_owned());
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, storing).await.is_ok();
    assert!(in_time, "only {} are stored", transcripts.len());

    let once = recordings.iter().map(|recording| (recording.clone(), 1)).collect::<HashMap<_, u64>>();
    assert!(assemblyai.accepted_per_recording() == once, "each recording is paid for once");
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
        assert!(ended.stderr.iter().any(|line| line.contains("transcript ordered")), "it did some of the work");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_waits_for_another_that_brings_the_tables_up_to_date() {
    let Some(server) = server() else { return };
    let (store, folder) = (Database::postgres(&server), Folder::new());
    let mut other = PgConnection::connect(&store.url).await.expect("a connection");
    other.lock().await.expect("the lock of whoever migrates");
    let mut program = Program::start(folder.path(), &[], &with(&ENOUGH, &[("DATABASE_URL", &store.url)]));
    program.wait_for_log("another program brings the tables of this server up to date; waiting for it");
    other.unlock().await.expect("the lock is given back");
    program.address();
}
