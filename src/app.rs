//! Where everything is put together: settings to clients, context and routes, with the sandbox in the vendors' place if
//! that is asked for.

use std::fmt::Write;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clients::assemblyai::AssemblyAi;
use crate::clients::twilio::{Credentials, Twilio};
use crate::config::{Accounts, AssemblyAiConfig, Config, Problem, ServerConfig, TwilioConfig, Vendors};
use crate::context::Context;
use crate::events::Events;
use crate::sandbox::pace::Pace;
use crate::sandbox::{assemblyai, twilio};
use crate::server::Server;
use crate::urls::Urls;
use crate::web;

/// What every page says in the sandbox.
const SANDBOX_NOTICE: &str = "Sandbox: no phone rings, nothing is paid, and every call says the same.";

/// A stop takes no longer.
const STOP: Duration = Duration::from_millis(9_500);

/// The program, running.
#[derive(Debug)]
pub struct App {
    server: Server,
    paid: TaskTracker,
    stopping: CancellationToken,
    welcome: String,
}

impl App {
    /// Takes the addresses to listen at, before anything else is begun.
    ///
    /// # Errors
    /// If one cannot be had. Without IPv6, the default is IPv4 alone.
    pub fn bind(config: &ServerConfig) -> Result<Vec<TcpListener>, Problem> {
        let mut listeners = Vec::new();
        for address in &config.bind {
            match TcpListener::bind(address) {
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
        let (accounts, notice) = match config.vendors {
            Vendors::Accounts(accounts) => (*accounts, None),
            Vendors::Sandbox { twilio, assemblyai } => {
                let accounts = start_sandbox(twilio, assemblyai, &bound).await?;
                describe_sandbox(&mut welcome, &accounts);
                (accounts, Some(SANDBOX_NOTICE))
            }
        };
        for address in &bound {
            _ = writeln!(welcome, "listening at http://{address}");
        }

        let Accounts { twilio, assemblyai, urls } = accounts;
        let deadlines = config.deadlines;
        let (paid, stopping) = (TaskTracker::new(), CancellationToken::new());
        let context = Arc::new(Context {
            twilio: Twilio::new(twilio.api_url, twilio.account_sid.clone(), twilio.credentials, deadlines.clone()),
            assemblyai: AssemblyAi::new(assemblyai.api_url, assemblyai.key, deadlines),
            account_sid: twilio.account_sid,
            auth_tokens: twilio.auth_tokens,
            phone_number: twilio.phone_number,
            call: config.call,
            transcript: config.transcript,
            urls,
            operator_token: config.server.operator_token,
            call_keyterms: Default::default(),
            paid: paid.clone(),
            stopping: stopping.clone(),
            events: Events::new(),
            notice,
        });
        let server = Server::start(&web::router(context), listeners)
            .map_err(|error| Problem::new("BIND_ADDR", format!("cannot be listened at: {}", error.kind())))?;
        Ok(Self { server, paid, stopping, welcome })
    }

    /// What a person wants to know first: where it is, and in the sandbox what to type.
    pub fn welcome(&self) -> &str {
        &self.welcome
    }

    /// Takes no new requests, lets those under way end, and returns within ten seconds. Those that cost money are
    /// waited for the longest.
    pub async fn stop(self) {
        self.stopping.cancel();
        let stop = async {
            self.server.stop().await;
            self.paid.close();
            self.paid.wait().await;
        };
        if tokio::time::timeout(STOP, stop).await.is_err() {
            let left = self.paid.len();
            tracing::warn!(
                left,
                "stopped without an answer: calls may have been placed, or transcripts ordered, all the same"
            );
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
            key: assemblyai::KEY.into(),
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
