//! Composes the program from its settings: clients, context, routes and workers, with the sandbox in the vendors' place for
//! `--sandbox`.

mod check;
mod listen;
mod sandbox;
mod scratch;

use std::fmt::Write;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::auth::Auth;
use crate::clients::archive::Archive;
use crate::clients::assemblyai::AssemblyAi;
use crate::clients::twilio::Twilio;
use crate::clients::webhook::Webhooks;
use crate::clients::{Kind, Service};
use crate::config::{Accounts, Config, Problem, ServerConfig, Vendors};
use crate::context::{ANSWERED_SLOTS, Context, Models, Shared};
use crate::events::Events;
use crate::exposure::{Exposure, Prober};
use crate::metrics::Metrics;
use crate::model::signing_secret::SigningSecret;
use crate::pipeline::{deliver, receivers, spooled, vocabulary, worker};
use crate::repeats::Repeats;
use crate::server::{Limits, Server};
use crate::spool::Spool;
use crate::store::{BadDatabase, Location, Store};
use crate::web;
use crate::webhook_secret::WebhookSecrets;
use check::Verdict;
use scratch::Scratch;

/// The notice on every page in the sandbox.
const SANDBOX_NOTICE: &str = "Sandbox: no phone rings, nothing is billed, and all that is said is made up.";

/// Maximum time that a stop waits for running requests, tasks and jobs.
const STOP_TIMEOUT: Duration = Duration::from_millis(8_900);

/// Maximum time that a stop then takes to release the leases and close the database.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(800);

/// Pause between two checks whether the database can be written.
const CHECK_PAUSE: Duration = Duration::from_secs(10);

/// Pause between two removals of files that nobody has finished sending.
const PURGE_PAUSE: Duration = Duration::from_mins(30);

/// Pause between two looks whether the file of key terms has changed.
const LOOK_AT_FILE: Duration = Duration::from_secs(2);

/// Maximum number of concurrent uploads from Twilio to AssemblyAI.
const TRANSFERS: usize = 4;

/// Maximum number of recordings that are copied to the archive at the same time.
const ARCHIVING: usize = 2;

/// A future whose code is in this crate. That of an `async fn` is compiled again in each crate that awaits it, with all that
/// it awaits or spawns: here that would be the whole program, once more in the binary and in each test.
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// The running program.
#[derive(Debug)]
pub struct App {
    server: Server,
    context: Shared,
    worker: Option<JoinHandle<()>>,
    bound: Vec<SocketAddr>,
    /// The folder of the sandbox's database.
    scratch: Option<Scratch>,
    welcome: String,
}

impl App {
    /// Binds the listening addresses, before anything else starts. Without IPv6, the default is IPv4 alone. Panics outside
    /// of a tokio runtime.
    pub fn bind(config: &ServerConfig) -> Result<Vec<TcpListener>, Problem> {
        listen::bind(config)
    }

    /// Starts the program at these listeners.
    pub fn start(config: Config, listeners: Vec<TcpListener>) -> Boxed<'static, Result<Self, Problem>> {
        Box::pin(async move {
            for warning in &config.warnings {
                tracing::warn!("{warning}");
            }
            let bound: Vec<SocketAddr> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
            let (mut welcome, mut call) = (String::new(), config.call);
            let (accounts, database, scratch, notice) = match config.vendors {
                Vendors::Accounts(accounts) => (*accounts, config.database, None, None),
                Vendors::Sandbox { twilio, assemblyai } => {
                    let accounts = sandbox::start(twilio, assemblyai, &bound).await?;
                    if call.operator_phones.is_empty() {
                        call.operator_phones = sandbox::operator_phones();
                    }
                    welcome += &sandbox::describe(&accounts);
                    let failed = |error: std::io::Error| {
                        let why = match error.kind() {
                            ErrorKind::NotFound => {
                                "the temporary folder, which TMPDIR names, does not exist".to_owned()
                            }
                            kind => format!("cannot be made in the temporary folder: {kind}"),
                        };
                        Problem::new("the sandbox's database", why)
                    };
                    let scratch = Scratch::new().map_err(failed)?;
                    (accounts, Location::file(&scratch.database()), Some(scratch), Some(SANDBOX_NOTICE))
                }
            };
            let store = Store::open(&database).await.map_err(|bad| Problem::new("DATABASE_URL", bad.to_string()))?;
            let uploads = config.uploads.filter(|_| scratch.is_none()).or_else(|| database.folder_beside("-uploads"));
            let uploads = uploads.unwrap_or_else(|| {
                let user = rustix::process::getuid().as_raw();
                std::env::temp_dir().join(format!("callscribe-uploads-{user}"))
            });
            let spool = Spool::open(&uploads).map_err(|error| {
                Problem::new("UPLOADS_FOLDER", format!("{} cannot be used: {}", uploads.display(), error.kind()))
            })?;
            let models = Models::new(config.transcript.speech_models.clone(), refused_models(&store).await);
            for warning in models.warnings() {
                tracing::warn!("{warning}");
            }
            for address in &bound {
                _ = writeln!(welcome, "listening at http://{address}");
            }

            let metrics = Metrics::new(config.work.clock.now_ms() as f64 / 1_000.0, store.transactions());
            let Accounts { twilio, assemblyai, urls } = accounts;
            let deadlines = config.deadlines;
            let shared_secret = twilio.auth_tokens.first().cloned().unwrap_or_default();
            let archive = config.archive.map(|place| Archive::open(&place, &deadlines, &metrics.requests)).transpose();
            let archive = archive.map_err(|why| Problem::new("ARCHIVE_URL", why))?;
            if let Some(archive) = &archive {
                let is_used = async { store.read().await?.is_archive_used(archive.name()).await };
                if !is_used.await.unwrap_or(true) {
                    archive.mark().map_err(|why| Problem::new("ARCHIVE_URL", why))?;
                }
            }
            if archive.as_ref().is_some_and(Archive::is_open_to_others) {
                tracing::warn!("other users of this computer may read the folder in ARCHIVE_URL: chmod 700 it");
            }
            let context = Arc::new(Context {
                store,
                spool,
                clock: config.work.clock,
                archive,
                archive_fails_until: Default::default(),
                archive_looked_up_to: Mutex::default(),
                webhooks: Webhooks::new(config.webhooks.reach, deadlines.webhook, metrics.requests.clone()),
                twilio: Twilio::new(twilio.api_url, twilio.account_sid.clone(), twilio.credentials, deadlines.clone())
                    .with_recording_keys(twilio.recording_keys)
                    .counted_in(&metrics.requests),
                webhook_secrets: WebhookSecrets::new(assemblyai.key.clone()),
                assemblyai: AssemblyAi::new(assemblyai.api_url, assemblyai.key, deadlines)
                    .counted_in(&metrics.requests),
                assemblyai_days: tokio::sync::Mutex::default(),
                account_sid: twilio.account_sid,
                auth_tokens: twilio.auth_tokens,
                shared_keys: twilio.shared_keys,
                shared_key_refused_at: Default::default(),
                phone_number: twilio.phone_number,
                call,
                dial: config.dial,
                keyterms: Mutex::new(config.transcript.keyterms.clone()),
                transcript: config.transcript,
                models,
                urls,
                auth: Auth::new(config.server.operator_token),
                exposure: Exposure::new(shared_secret, config.work.automatic, config.work.patience),
                dial_timeout: config.work.dial_timeout,
                instance: Uuid::new_v4().simple().to_string(),
                leased: Default::default(),
                missed: Default::default(),
                job_ready: Notify::new(),
                finished: Mutex::default(),
                described: Mutex::default(),
                transfers: Semaphore::new(TRANSFERS),
                imported_transfers: Semaphore::new(TRANSFERS - 1),
                archiving: Semaphore::new(ARCHIVING),
                reading: Semaphore::new(1),
                answered_slots: Arc::new(Semaphore::new(ANSWERED_SLOTS as usize)),
                tasks: TaskTracker::new(),
                stopping: CancellationToken::new(),
                events: Events::new(),
                intervals: Default::default(),
                repeats: Repeats::default(),
                wrong_settings: Mutex::default(),
                notice,
                metrics,
            });
            warn_of_calls_dialed_elsewhere(&context).await;
            store_keyterms(&context).await;
            store_receivers(&context, &config.webhooks.receivers).await;
            let routes = web::router(Arc::clone(&context));
            let server =
                Server::start(&routes, listeners, &Limits::default(), web::is_privileged, &context.metrics.connections)
                    .map_err(|error| Problem::new("BIND_ADDR", format!("cannot be listened on: {}", error.kind())))?;
            let worker = config.work.automatic.then(|| {
                let deliverer = deliver::work(Arc::clone(&context));
                let worker = worker::work(Arc::clone(&context));
                tokio::spawn(async { _ = tokio::join!(worker, deliverer) })
            });
            let app = Self { server, context, worker, bound, scratch, welcome };
            if config.work.automatic {
                let (context, ports) = (Arc::clone(&app.context), app.ports());
                tokio::spawn(async move { prober(&context, ports).watch(&context.stopping).await });
                tokio::spawn(check_database(Arc::clone(&app.context)));
                tokio::spawn(purge_uploads(Arc::clone(&app.context)));
                tokio::spawn(watch_keyterms(Arc::clone(&app.context)));
            }
            // The sandbox has no settings to check.
            if config.work.checks_settings && app.scratch.is_none() {
                let context = Arc::clone(&app.context);
                tokio::spawn(async move {
                    tokio::select! {
                        () = check_settings(&context) => {}
                        () = context.stopping.cancelled() => {}
                    }
                });
            }
            Ok(app)
        })
    }

    fn ports(&self) -> Vec<u16> {
        self.bound.iter().map(SocketAddr::port).collect()
    }

    /// Looks whether requests through `BASE_URL` look local, for tests that run nothing automatically. Returns `true` if
    /// `BASE_URL` leads to this program.
    pub fn probe(&self) -> Boxed<'_, bool> {
        Box::pin(async { prober(&self.context, self.ports()).probe().await })
    }

    /// Checks settings without starting the program: returns a line for each thing checked, and whether nothing is wrong.
    /// `None` for the sandbox, which has no settings to check.
    pub fn check(config: Config) -> Boxed<'static, Option<(String, bool)>> {
        Box::pin(check::check(config))
    }

    /// Asks both vendors whether the settings are right, for tests that run nothing automatically.
    pub fn check_settings(&self) -> Boxed<'_, ()> {
        Box::pin(check_settings(&self.context))
    }

    /// Waits until an operator at this computer must log in, or the last log-in link was used. Returns a text with a new
    /// link.
    pub async fn log_in_link(&self) -> String {
        let exposure = &self.context.exposure;
        let reason = tokio::select! {
            () = exposure.locked_out() => if exposure.is_exposed() {
                "requests through BASE_URL look as if they came from this computer, so everyone must log in."
            } else {
                "callscribe could not find out whether strangers can come in through BASE_URL, so everyone must log in."
            },
            () = self.context.auth.link.used() => "somebody used the log-in link; here is the next one.",
        };
        let port = self.bound.first().map_or(0, SocketAddr::port);
        let link = self.context.auth.link.renew();
        format!(
            "{reason} This link works once; after that, callscribe prints another:\nhttp://localhost:{port}/login?token={link}\n"
        )
    }

    /// Reads the file of key terms again, and logs how many there are, or why they stay as they were.
    pub async fn read_keyterms_again(&self) {
        self.context.read_keyterms_again().await;
        store_keyterms(&self.context).await;
    }

    /// Preallocates the WAL and checks a database that is too large to be checked before the start. Completes only if the
    /// database is corrupt.
    pub fn corruption(&self) -> Boxed<'static, Problem> {
        let store = self.context.store.clone();
        Box::pin(async move {
            // Before the check, whose reads would keep the WAL from being replaced.
            store.preallocate_wal().await;
            match store.check_for_corruption().await {
                Err(bad @ BadDatabase::Corrupt) => return Problem::new("DATABASE_URL", bad.to_string()),
                Err(bad) => tracing::warn!("could not check the database, which {bad}"),
                Ok(()) => {}
            }
            std::future::pending().await
        })
    }

    /// Runs due jobs and sends due webhooks until none is left, for tests that run nothing automatically. Returns their number.
    pub fn run_due_jobs(&self) -> Boxed<'_, usize> {
        Box::pin(async { worker::drain(&self.context).await + deliver::drain(&self.context).await })
    }

    /// Returns the calls that a list would find in another place than their tables tell, for tests: a transaction has changed
    /// a call and has not stored its summary.
    pub fn misplaced_calls(&self) -> Boxed<'_, Result<Vec<String>, crate::store::Error>> {
        Box::pin(async { self.context.store.read().await?.misplaced_calls().await })
    }

    /// Takes the turn to read large transcripts, for tests of those who wait for it.
    pub async fn turn_to_read(&self) -> impl Drop + '_ {
        // Nobody closes the semaphore.
        self.context.reading.acquire().await.expect("a turn")
    }

    /// Makes every open job due, as the start of the worker does, for tests that run nothing automatically.
    pub fn catch_up(&self) -> Boxed<'_, ()> {
        Box::pin(worker::catch_up(&self.context))
    }

    /// Returns the routes without a listener, for the fuzz targets. A request must carry its peer's `ConnectInfo`.
    pub fn router(&self) -> Router {
        web::router(Arc::clone(&self.context))
    }

    /// Returns the store, for tests.
    pub fn store(&self) -> &Store {
        &self.context.store
    }

    /// Returns what to print at the start: the addresses, and in the sandbox the credentials.
    pub fn welcome(&self) -> &str {
        &self.welcome
    }

    /// Accepts no more requests, waits for running requests and tasks, and releases the leases of unfinished jobs. Returns
    /// within ten seconds.
    pub fn stop(self) -> Boxed<'static, ()> {
        Box::pin(async move {
            let Self { server, context, worker, scratch, .. } = self;
            context.stopping.cancel();
            let stop = async {
                server.stop().await;
                context.tasks.close();
                context.tasks.wait().await;
                if let Some(worker) = worker {
                    _ = worker.await;
                }
            };
            if tokio::time::timeout(STOP_TIMEOUT, stop).await.is_err() {
                let left = context.tasks.len();
                tracing::warn!(
                    left,
                    "stopped before all requests had a response; the next start finds out how they ended"
                );
            }
            let close = async {
                worker::release(&context).await;
                context.store.close().await;
            };
            if tokio::time::timeout(CLOSE_TIMEOUT, close).await.is_err() {
                tracing::warn!("the database did not close in time");
            }
            drop(scratch);
        })
    }
}

/// Asks both vendors whether the settings are right. What is wrong goes to the log and to the pages, which already tell of
/// refused credentials.
async fn check_settings(context: &Context) {
    let mut findings = check::ask_vendors(&context.twilio, &context.assemblyai, &context.phone_number).await;
    if let Some(archive) = &context.archive {
        findings.push(check::ask_archive(archive).await);
    }
    for finding in findings {
        let check::Finding { subject, verdict, text, error } = finding;
        let cause = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        match verdict {
            Verdict::Good => tracing::debug!("{subject}: {text}"),
            Verdict::Unknown => tracing::info!("{subject}: {text}{cause}"),
            Verdict::Wrong => {
                tracing::warn!("{subject}: {text}{cause}");
                let service = error.as_ref().map_or(Service::Twilio, |error| error.service);
                if !error.is_some_and(|error| matches!(error.kind, Kind::Unauthorized(_))) {
                    let sentence = format!("When callscribe started: {subject}: {text}{cause}.");
                    context.wrong_settings.lock().unwrap_or_else(PoisonError::into_inner).push((service, sentence));
                }
            }
        }
    }
}

/// Checks again and again whether the database can be written: a stranger's request does not cause a check.
async fn check_database(context: Shared) {
    loop {
        context.store.check(context.clock.now_ms()).await;
        tokio::select! {
            () = context.stopping.cancelled() => return,
            () = tokio::time::sleep(CHECK_PAUSE) => {}
        }
    }
}

/// Removes files again and again that nobody has finished sending.
async fn purge_uploads(context: Shared) {
    loop {
        if let Err(error) = spooled::clean_up(&context).await {
            tracing::warn!("could not remove old uploads: {error}");
        }
        tokio::select! {
            () = context.stopping.cancelled() => return,
            () = tokio::time::sleep(PURGE_PAUSE) => {}
        }
    }
}

/// The speech models that AssemblyAI refused when they were last ordered. Not to know them keeps nothing from working.
async fn refused_models(store: &Store) -> Vec<String> {
    let read = async { store.read().await?.refused_models().await };
    read.await.unwrap_or_else(|error| {
        tracing::warn!("could not read which speech models were refused: {error}");
        Vec::new()
    })
}

/// Warns of open calls dialed with another `BASE_URL`, such as an earlier tunnel name. They are followed by polling Twilio.
async fn warn_of_calls_dialed_elsewhere(context: &Shared) {
    let base = context.urls.base();
    let count = async { context.store.read().await?.calls_dialed_elsewhere(base).await };
    match count.await {
        Ok(0) => {}
        Ok(calls) => tracing::warn!(
            "open calls dialed with another BASE_URL (now {base}): {calls}. Their callbacks do not arrive, so \
             callscribe polls Twilio, which takes longer"
        ),
        Err(error) => tracing::warn!("could not count the calls dialed with another BASE_URL: {error}"),
    }
}

/// Stores the key terms of the settings in the vocabulary, whose page shows them.
async fn store_keyterms(context: &Shared) {
    if let Err(error) = vocabulary::store_settings(context).await {
        tracing::warn!("could not store the key terms of the settings: {error}");
    }
}

/// Stores the receivers of the settings, whose page shows them.
async fn store_receivers(context: &Shared, listed: &[(String, SigningSecret)]) {
    if let Err(error) = receivers::store_settings(context, listed).await {
        tracing::warn!("could not store the receivers of WEBHOOKS: {error}");
    }
}

/// Reads the file of key terms again whenever it has changed, until the program stops.
async fn watch_keyterms(context: Shared) {
    let stamp = || {
        let config = context.transcript.clone();
        tokio::task::spawn_blocking(move || config.stamp_of_file())
    };
    let mut seen = stamp().await.ok().flatten();
    while seen.is_some() && !context.stopping.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(LOOK_AT_FILE) => {}
            () = context.stopping.cancelled() => return,
        }
        // A file that is being replaced may be gone for a moment.
        let Some(now) = stamp().await.ok().flatten() else { continue };
        if seen.replace(now) != Some(now) {
            context.read_keyterms_again().await;
            store_keyterms(&context).await;
        }
    }
}

fn prober(context: &Context, ports: Vec<u16>) -> Prober<'_> {
    Prober { exposure: &context.exposure, urls: &context.urls, clock: &context.clock, ports }
}
