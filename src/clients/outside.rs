//! This program's own public address, asked as anybody out there would ask it: without credentials, under any `Host`.

use std::time::Duration;

use reqwest::header::HOST;

use super::sender::transport;
use super::{Kind, tls};

/// An answer longer than this is not ours.
const LARGEST_ANSWER: usize = 256;

/// The whole takes no longer.
const DEADLINE: Duration = Duration::from_secs(10);

/// A client for it.
#[derive(Debug, Clone)]
pub struct Outside {
    http: reqwest::Client,
}

impl Outside {
    /// Goes straight there if that is on this computer.
    pub fn new(is_local: bool) -> Self {
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config())
            .user_agent(concat!("callscribe/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(DEADLINE)
            // Each request is one of its own, as a stranger's is.
            .pool_max_idle_per_host(0);
        let builder = if is_local { builder.no_proxy() } else { builder };
        Self { http: builder.build().expect("a client with TLS set up builds") }
    }

    /// What is answered at this address, whatever its status. With `host`, the request lies about where it goes.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn ask(&self, url: &str, host: Option<&str>) -> Result<String, Kind> {
        let mut request = self.http.get(url);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let mut response = request.send().await.map_err(transport)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST_ANSWER {
                break;
            }
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}
