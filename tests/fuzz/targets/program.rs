//! The program with an empty database, called without a listener. It runs no jobs and sends no requests to vendors.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use callscribe::app::App;
use callscribe::config::{Config, WorkConfig};
use callscribe::sandbox::{assemblyai, twilio};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

/// The program's public address.
pub const BASE: &str = "https://example.com";

/// An address where nothing listens.
const NOBODY: &str = "http://127.0.0.1:9";

pub struct Program {
    runtime: Runtime,
    router: Router,
    _app: App,
}

impl Program {
    pub fn start() -> Self {
        let file = std::env::temp_dir().join(format!("callscribe-fuzz-{}.db", std::process::id()));
        let database = format!("sqlite://{}", file.display());
        let variables = [
            ("TWILIO_ACCOUNT_SID", twilio::ACCOUNT_SID),
            ("TWILIO_AUTH_TOKEN", twilio::AUTH_TOKEN),
            ("TWILIO_PHONE_NUMBER", twilio::PHONE_NUMBER),
            ("TWILIO_API_URL", NOBODY),
            ("BASE_URL", BASE),
            ("ASSEMBLYAI_KEY", assemblyai::API_KEY),
            ("ASSEMBLYAI_API_URL", NOBODY),
            ("DATABASE_URL", &database),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut config = Config::read(variables, false).expect("valid settings");
        config.work = WorkConfig { automatic: false, checks_settings: false, dial_timeout: Duration::ZERO, ..WorkConfig::default() };
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let app = runtime.block_on(App::start(config, Vec::new())).expect("the program starts");
        Self { runtime, router: app.router(), _app: app }
    }

    /// Handles a request from this address. Returns the status, and panics on a 5xx.
    pub fn handle(&self, mut request: Request<Body>, peer: SocketAddr) -> StatusCode {
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = self.runtime.block_on(self.router.clone().oneshot(request));
        let status = answer.expect("an infallible router").status();
        assert!(!status.is_server_error(), "{status}");
        status
    }
}
