//! Where everything is put together: settings to clients, context and routes, with the sandbox in the vendors' place if
//! that is asked for.

use std::fmt::Write;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use secrecy::ExposeSecret;
use tokio::net::TcpSocket;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::clients::assemblyai::AssemblyAi;
use crate::clients::twilio::{Credentials, Twilio};
use crate::config::{Accounts, AssemblyAiConfig, Config, Problem, ServerConfig, TwilioConfig, Vendors};
use crate::context::{ANSWERED_SLOTS, Context, Shared};
use crate::events::Events;
use crate::operator::Operator;
use crate::pipeline::worker;
use crate::sandbox::pace::Pace;
use crate::sandbox::{assemblyai, twilio};
use crate::server::{Limits, Server};
use crate::store::{BadDatabase, Location, Store};
use crate::urls::Urls;
use crate::web::{self, probe};
use crate::webhook_secret::WebhookSecrets;

/// What every page says in the sandbox.
const SANDBOX_NOTICE: &str = "Sandbox: no phone rings, nothing is paid, and every call says the same.";

/// A stop takes no longer, and then no longer than [`CLOSING`].
const STOP: Duration = Duration::from_millis(8_900);

/// Giving back jobs and closing the database takes no longer.
const CLOSING: Duration = Duration::from_millis(800);

/// So many recordings are on their way from Twilio to AssemblyAI at once.
const TRANSFERS: usize = 4;

/// Connections that may wait to be taken.
const WAITING: u32 = 1_024;

/// The program, running.
#[derive(Debug)]
pub struct App {
    server: Server,
    context: Shared,
    worker: Option<JoinHandle<()>>,
    /// Where it listens.
    bound: Vec<SocketAddr>,
    /// The sandbox's store, which goes with it.
    scratch: Option<Scratch>,
    welcome: String,
}

impl App {
    /// Takes the addresses to listen at, before anything else is begun.
    ///
    /// # Errors
    /// If one cannot be had. Without IPv6, the default is IPv4 alone.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn bind(config: &ServerConfig) -> Result<Vec<TcpListener>, Problem> {
        let mut listeners = Vec::new();
        for address in &config.bind {
            match listen(*address) {
                Ok(listener) => listeners.push(listener),
                // Computers without IPv6 say so in many ways.
                Err(error) if !config.bind_is_set && address.is_ipv6() && !is_taken(&error) => {
                    tracing::warn!("not listening at {address}: {}", error.kind());
                }
                Err(error) => return Err(unavailable("BIND_ADDR", *address, &error)),
            }
        }
        Ok(listeners)
    }

    /// Starts to serve at these listeners.
    ///
    /// # Errors
    /// If a listener cannot be used, the sandbox's own among them.
    pub async fn start(config: Config, listeners: Vec<TcpListener>) -> Result<Self, Problem> {
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        let bound: Vec<SocketAddr> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let mut welcome = String::new();
        let (accounts, database, scratch, notice) = match config.vendors {
            Vendors::Accounts(accounts) => (*accounts, config.database, None, None),
            Vendors::Sandbox { twilio, assemblyai } => {
                let accounts = start_sandbox(twilio, assemblyai, &bound).await?;
                describe_sandbox(&mut welcome, &accounts);
                let scratch = Scratch::new();
                (accounts, Location::file(&scratch.path), Some(scratch), Some(SANDBOX_NOTICE))
            }
        };
        let store = Store::open(&database).await.map_err(|bad| Problem::new("DATABASE_URL", bad.to_string()))?;
        for address in &bound {
            _ = writeln!(welcome, "listening at http://{address}");
        }

        let Accounts { twilio, assemblyai, urls } = accounts;
        let deadlines = config.deadlines;
        let common = twilio.auth_tokens.first().cloned().unwrap_or_default();
        let context = Arc::new(Context {
            store,
            clock: config.work.clock,
            twilio: Twilio::new(twilio.api_url, twilio.account_sid.clone(), twilio.credentials, deadlines.clone()),
            webhook_secrets: WebhookSecrets::new(assemblyai.key.clone()),
            assemblyai: AssemblyAi::new(assemblyai.api_url, assemblyai.key, deadlines),
            account_sid: twilio.account_sid,
            auth_tokens: twilio.auth_tokens,
            phone_number: twilio.phone_number,
            call: config.call,
            dial: config.dial,
            transcript: config.transcript,
            urls,
            operator: Operator::new(config.server.operator_token, common),
            dial_timeout: config.work.dial_timeout,
            instance: Uuid::new_v4().simple().to_string(),
            leased: Default::default(),
            job_ready: Notify::new(),
            transfers: Semaphore::new(TRANSFERS),
            answered_slots: Arc::new(Semaphore::new(ANSWERED_SLOTS as usize)),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            events: Events::new(),
            is_unreachable: Default::default(),
            notice,
        });
        warn_of_calls_dialled_elsewhere(&context).await;
        let server = Server::start(&web::router(Arc::clone(&context)), listeners, &Limits::default())
            .map_err(|error| Problem::new("BIND_ADDR", format!("cannot be listened at: {}", error.kind())))?;
        let worker = config.work.automatic.then(|| tokio::spawn(worker::work(Arc::clone(&context))));
        let app = Self { server, context, worker, bound, scratch, welcome };
        if config.work.automatic {
            tokio::spawn(probe::watch(Arc::clone(&app.context), app.ports()));
        }
        Ok(app)
    }

    fn ports(&self) -> Vec<u16> {
        self.bound.iter().map(SocketAddr::port).collect()
    }

    /// Looks whether strangers who come through `BASE_URL` look like this computer, for tests in which nothing happens
    /// by itself; gives whether `BASE_URL` leads here.
    pub async fn probe(&self) -> bool {
        probe::probe(&self.context, &self.ports()).await
    }

    /// Waits until to be at this computer no longer lets anybody in, or the last link was used, and gives what to print
    /// then.
    pub async fn log_in_link(&self) -> String {
        self.context.operator.link_wanted().await;
        let port = self.bound.first().map_or(0, SocketAddr::port);
        let link = self.context.operator.new_link();
        format!(
            "strangers who come through BASE_URL look like this computer, so everybody must log in; \
             this link does so, once, and is then followed by another:\nhttp://localhost:{port}/login?token={link}\n"
        )
    }

    /// Makes a store ready for much, and looks through one that is too large to be looked through before the start. Comes to
    /// an end only if it is damaged.
    pub fn damage(&self) -> impl Future<Output = Problem> + use<> {
        let store = self.context.store.clone();
        async move {
            // First: nobody may read meanwhile what was there before.
            store.preallocate_wal().await;
            match store.check_for_corruption().await {
                Err(bad @ BadDatabase::Corrupt) => return Problem::new("DATABASE_URL", bad.to_string()),
                Err(bad) => tracing::warn!("the database could not be looked through: it {bad}"),
                Ok(()) => {}
            }
            std::future::pending().await
        }
    }

    /// Runs the jobs that are due, until none is, for tests in which nothing happens by itself; gives their number.
    pub async fn run_due_jobs(&self) -> usize {
        worker::drain(&self.context).await
    }

    /// The routes without a listener, for the fuzz targets: the peer's address is `ConnectInfo` in the request.
    pub fn router(&self) -> Router {
        web::router(Arc::clone(&self.context))
    }

    /// The database, for tests that look into it.
    pub fn store(&self) -> &Store {
        &self.context.store
    }

    /// What a person wants to know first: where it is, and in the sandbox what to type.
    pub fn welcome(&self) -> &str {
        &self.welcome
    }

    /// Takes no new requests, lets what is under way end, gives back the jobs that do not, and returns within ten
    /// seconds. What costs money is waited for the longest.
    pub async fn stop(self) {
        let Self { server, context, worker, scratch, .. } = self;
        context.stopping.cancel();
        let stop = async {
            server.stop().await;
            context.tasks.close();
            context.tasks.wait().await;
            if let Some(worker) = worker {
                let _ = worker.await;
            }
        };
        if tokio::time::timeout(STOP, stop).await.is_err() {
            let left = context.tasks.len();
            tracing::warn!(left, "stopped without an answer: what was asked for is looked for at the next start");
        }
        let closing = async {
            worker::release(&context).await;
            context.store.close().await;
        };
        if tokio::time::timeout(CLOSING, closing).await.is_err() {
            tracing::warn!("the database did not close in time");
        }
        drop(scratch);
    }
}

/// Calls that were dialled before `BASE_URL` became another, such as a new name of a tunnel, are followed all the same, by
/// asking Twilio.
async fn warn_of_calls_dialled_elsewhere(context: &Shared) {
    let base = context.urls.base();
    let asked = async { context.store.read().await?.calls_dialed_elsewhere(base).await };
    match asked.await {
        Ok(0) => {}
        Ok(calls) => tracing::warn!(
            "open calls that were dialled with another BASE_URL than {base}: {calls}. Their callbacks do not arrive; \
             Twilio is asked how they get on, which takes longer"
        ),
        Err(error) => tracing::warn!("open calls could not be looked through: {error}"),
    }
}

/// As `TcpListener::bind`, which lets only 128 wait to be taken: whoever comes in a crowd would be put off by a second.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Otherwise connections of the program that was here before could keep the port for a minute.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)?.into_std()
}

/// The sandbox's database, a file in the temporary folder.
#[derive(Debug)]
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// How its name begins; the process's id follows.
    const NAME: &str = "callscribe-sandbox-";

    fn new() -> Self {
        let folder = std::env::temp_dir();
        Self::sweep(&folder);
        Self { path: folder.join(format!("{}{}.db", Self::NAME, std::process::id())) }
    }

    /// Removes what sandboxes left that were killed, and what an earlier process of this one's id did.
    fn sweep(folder: &Path) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let id =
                name.to_str().and_then(|name| name.strip_prefix(Self::NAME)?.split('.').next()?.parse::<u32>().ok());
            let is_running = |id: u32| id != std::process::id() && Path::new(&format!("/proc/{id}")).exists();
            if id.is_some_and(|id| Path::new("/proc/self").exists() && !is_running(id)) {
                // Somebody else's cannot be removed, and need not be.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(suffix);
            // Those that SQLite has removed already are not there.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Emulators in the vendors' place, and the settings that lead to them.
async fn start_sandbox(
    twilio_addr: SocketAddr,
    assemblyai_addr: SocketAddr,
    bound: &[SocketAddr],
) -> Result<Accounts, Problem> {
    let listen = async |name: &str, address: SocketAddr| {
        tokio::net::TcpListener::bind(address).await.map_err(|error| unavailable(name, address, &error))
    };
    let twilio = twilio::Twilio::start(listen("SANDBOX_TWILIO_ADDR", twilio_addr).await?, Pace::live());
    let assemblyai = listen("SANDBOX_ASSEMBLYAI_ADDR", assemblyai_addr).await?;
    let assemblyai = assemblyai::AssemblyAi::start(assemblyai, Pace::live());

    let mut own = bound.first().copied().unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    if own.ip().is_unspecified() {
        own.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let wrong = |_| Problem::new("BIND_ADDR", "is no address that the sandbox can call back to");
    Ok(Accounts {
        urls: Urls::parse(&format!("http://{own}")).map_err(wrong)?,
        twilio: TwilioConfig {
            account_sid: twilio::ACCOUNT_SID.to_owned(),
            auth_tokens: vec![twilio::AUTH_TOKEN.into()],
            credentials: Credentials { user: twilio::ACCOUNT_SID.to_owned(), password: twilio::AUTH_TOKEN.into() },
            phone_number: twilio::PHONE_NUMBER.parse().expect("the sandbox's number is a number"),
            api_url: twilio.url().parse().expect("the sandbox's address is a URL"),
        },
        assemblyai: AssemblyAiConfig {
            key: assemblyai::API_KEY.into(),
            api_url: assemblyai.url().parse().expect("the sandbox's address is a URL"),
        },
    })
}

fn describe_sandbox(welcome: &mut String, Accounts { twilio, assemblyai, urls }: &Accounts) {
    _ = writeln!(
        welcome,
        "callscribe sandbox: no phone rings, nothing is paid; these credentials open nothing else\n\n\
         Twilio      {}\n  account   {}\n  token     {}\n  number    {}\n\
         AssemblyAI  {}\n  key       {}\n\n\
         try it:     curl {}/dial/14155551234\n",
        twilio.api_url.as_str().trim_end_matches('/'),
        twilio.account_sid,
        twilio.credentials.password.expose_secret(),
        twilio.phone_number,
        assemblyai.api_url.as_str().trim_end_matches('/'),
        assemblyai.key.expose_secret(),
        urls.authority().replace("127.0.0.1", "localhost"),
    );
}

fn is_taken(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied)
}

fn unavailable(name: &str, address: SocketAddr, error: &std::io::Error) -> Problem {
    let reason = match error.kind() {
        ErrorKind::AddrInUse => "is in use by another program".to_owned(),
        ErrorKind::PermissionDenied => "is not allowed to this user".to_owned(),
        kind => format!("cannot be listened at: {kind}"),
    };
    Problem::new(name, format!("{address} {reason}"))
}
