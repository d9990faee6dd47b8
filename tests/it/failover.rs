//! PostgreSQL's connections fall silent, as after a fail-over: what is sent over them is neither answered nor refused, while
//! new ones work at once. Skipped without `TEST_DATABASE_URL`, like `postgres`.

use std::collections::HashMap;

use callscribe::sandbox::assemblyai::AssemblyAi;
use callscribe::sandbox::pace::Pace;
use callscribe::sandbox::twilio::{Audio, SeededCall, SeededRecording, Twilio};
use futures_util::{StreamExt, stream};
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use url::Url;

use crate::support::command::{ENOUGH, Folder, Program, with};
use crate::support::listen;
use crate::support::store::{Database, server};
use crate::two_programs::{listen_for_transcripts, start, until_stored};

/// Number of completed recordings between two falls of silence.
const RECORDINGS: usize = 60;

/// How often all connections fall silent.
const FALLS: u64 = 2;

/// Number of callbacks that Twilio sends concurrently.
const AT_ONCE: usize = 16;

/// A way to the server whose connections can fall silent.
struct Switch {
    address: String,
    falls: watch::Sender<u64>,
}

impl Switch {
    async fn to(server: &str) -> Self {
        let entrance = listen().await;
        let address = entrance.local_addr().expect("a bound listener").to_string();
        let (falls, fallen) = watch::channel(0);
        let options: PgConnectOptions = server.parse().expect("a URL of PostgreSQL");
        tokio::spawn(Self::forward(entrance, options, fallen));
        Self { address, falls }
    }

    async fn forward(entrance: TcpListener, options: PgConnectOptions, fallen: watch::Receiver<u64>) {
        while let Ok((from, _)) = entrance.accept().await {
            let (port, fallen) = (options.get_port(), fallen.clone());
            if let Some(folder) = options.get_socket() {
                let to = UnixStream::connect(folder.join(format!(".s.PGSQL.{port}"))).await;
                tokio::spawn(Self::pass(from, to.expect("the server listens"), fallen));
            } else {
                let to = TcpStream::connect((options.get_host(), port)).await;
                tokio::spawn(Self::pass(from, to.expect("the server listens"), fallen));
            }
        }
    }

    /// Passes bytes in both directions until the next fall, and keeps both ends open after that.
    async fn pass(mut from: TcpStream, mut to: impl AsyncRead + AsyncWrite + Unpin, mut fallen: watch::Receiver<u64>) {
        fallen.mark_unchanged();
        tokio::select! {
            biased;
            Ok(()) = fallen.changed() => std::future::pending().await,
            _ = copy_bidirectional(&mut from, &mut to) => {}
        }
    }

    /// The store's URL, by way of this switch.
    fn url(&self, store: &Database) -> String {
        let mut url = Url::parse(&store.url).expect("a URL");
        let kept: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(name, _)| !["host", "port", "sslmode"].contains(&name.as_ref()))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        url.query_pairs_mut().clear().extend_pairs(kept).append_pair("sslmode", "disable");
        let (host, port) = self.address.rsplit_once(':').expect("a port");
        url.set_host(Some(host)).expect("a host");
        url.set_port(Some(port.parse().expect("a number"))).expect("a port");
        url.into()
    }

    fn fall_silent(&self) {
        self.falls.send_modify(|falls| *falls += 1);
    }
}

/// Sends the callback of a recording until it is acknowledged.
async fn report(twilio: &Twilio, recording: &str, hook: &str) {
    while twilio.send_recording_callback(recording, hook).await != Some(204) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_goes_on_when_all_connections_to_the_database_fall_silent() {
    let Some(server) = server() else { return };
    let (store, folder) = (Database::postgres(&server), Folder::new());
    let switch = Switch::to(&server).await;
    let twilio = Twilio::start(listen().await, Pace::instant());
    let assemblyai = AssemblyAi::start(listen().await, Pace::instant());
    let (program, base) = start(&folder, &switch.url(&store), &twilio, &assemblyai).await;
    let mut stored = listen_for_transcripts(&store).await;

    let seed = |_| {
        let call_sid = twilio.add_call(SeededCall::default());
        let audio = Audio::Marked { bytes: 0 };
        twilio.add_recording(SeededRecording { call_sid, audio, ..Default::default() })
    };
    let all = RECORDINGS * (FALLS as usize + 1);
    let recordings: Vec<String> = (0..all).map(seed).collect();
    let hook = format!("{base}/hooks/twilio/recording");
    let reported = stream::iter(recordings.iter().enumerate()).for_each_concurrent(AT_ONCE, async |(number, one)| {
        // With callbacks and jobs on their way.
        if number > 0 && number.is_multiple_of(RECORDINGS) {
            switch.fall_silent();
        }
        report(&twilio, one, &hook).await;
    });
    tokio::join!(reported, until_stored(&mut stored, all));

    let once = recordings.iter().map(|recording| (recording.clone(), 1)).collect::<HashMap<_, u64>>();
    assert!(assemblyai.accepted_per_recording() == once, "each recording is paid for once");
    let texts = "SELECT count(*) FROM transcripts WHERE text LIKE '%' || recording_sid";
    assert_eq!(store.number(texts).await, all as i64, "each recording has its transcript");
    program.signal("TERM");
    assert_eq!(program.end().code, Some(0));
}

/// The table of migrations, in which a migration waits for the table `gate` before it is done.
const GATE: &str = "
    CREATE TABLE gate ();
    CREATE TABLE _sqlx_migrations (
        version BIGINT PRIMARY KEY, description TEXT NOT NULL, installed_on TIMESTAMPTZ NOT NULL DEFAULT now(),
        success BOOLEAN NOT NULL, checksum BYTEA NOT NULL, execution_time BIGINT NOT NULL
    );
    CREATE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN SET LOCAL lock_timeout = 0; LOCK TABLE gate; RETURN NEW; END $$;
    CREATE TRIGGER pass_gate BEFORE INSERT ON _sqlx_migrations FOR EACH ROW EXECUTE FUNCTION pass_gate()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_ends_if_the_connection_that_migrates_falls_silent() {
    let Some(server) = server() else { return };
    let (store, folder) = (Database::postgres(&server), Folder::new());
    store.execute(GATE).await.expect("tables");
    let mut other = PgConnection::connect(&store.url).await.expect("a connection");
    sqlx::raw_sql("BEGIN; LOCK TABLE gate").execute(&mut other).await.expect("a lock");
    let switch = Switch::to(&server).await;
    let program = Program::start(folder.path(), &[], &with(&ENOUGH, &[("DATABASE_URL", &switch.url(&store))]));
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'gate'::regclass";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut other).await.expect("an answer") == 0 {}
    switch.fall_silent();
    sqlx::raw_sql("COMMIT").execute(&mut other).await.expect("no lock");
    let refused = program.refused();
    assert_eq!(refused.code, Some(2), "{}", refused.all());
    assert!(refused.all().contains("DATABASE_URL: cannot be reached: "), "{}", refused.all());
}
