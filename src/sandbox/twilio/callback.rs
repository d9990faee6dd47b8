//! Speaking to the program: signed requests, sent the way Twilio sends them, and what came back.
//!
//! Parameters and numbers are never logged; addresses without their query are.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode};
use tracing::debug;
use url::Url;
use uuid::Uuid;

use super::twiml::Problem;
use super::{AUTH_TOKEN, Delivery, Twilio};
use crate::clients::twilio::signature::{self, Algorithm, Param};
use crate::sandbox::control::Callbacks;

/// How long Twilio waits for the answer to a voice webhook.
const PATIENCE: Duration = Duration::from_secs(15);

/// The newest deliveries that are remembered.
const REMEMBERED: usize = 1_000;

/// What the program answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Twilio {
    /// Tells how something gets on, as often as the test wants it told.
    pub(super) async fn report(&self, method: &Method, url: &str, params: &[Param]) {
        match self.control.callbacks() {
            Callbacks::Drop => {}
            Callbacks::Deliver | Callbacks::Shuffled => {
                self.deliver(method, url, params).await;
            }
            Callbacks::Twice => {
                tokio::join!(self.deliver(method, url, params), self.deliver(method, url, params));
            }
        }
    }

    /// Sends a callback whose answer nobody reads; returns its status.
    pub(super) async fn deliver(&self, method: &Method, url: &str, params: &[Param]) -> Option<u16> {
        let answer = match Url::parse(url) {
            Ok(url) => self.request(method, &url, params).await,
            Err(error) => Err(Problem::new(11100, error)),
        };
        answer.ok().map(|answer| answer.status.as_u16())
    }

    /// Sends a signed request: parameters as a form, or in the query of a GET.
    pub(super) async fn request(&self, method: &Method, url: &Url, params: &[Param]) -> Result<Answer, Problem> {
        let mut url = url.clone();
        // The fragment is for Twilio itself, and what is not sent is not signed.
        url.set_fragment(None);
        let form = if *method == Method::GET {
            url.query_pairs_mut().extend_pairs(params);
            &[]
        } else {
            params
        };
        let mut signed = url.clone();
        // Both fail only where there is no host, hence no user either.
        let _ = (signed.set_username(""), signed.set_password(None));
        let signature = signature::sign(Algorithm::HmacSha1, AUTH_TOKEN, signed.as_str(), form);
        let token = Uuid::new_v4().to_string();
        let send = || {
            let mut request = self.inner.http.request(method.clone(), url.clone()).timeout(PATIENCE);
            if *method != Method::GET {
                request = request.form(form);
            }
            let request = request.header("user-agent", "TwilioProxy/1.1").header("accept", "*/*");
            request.header(signature::HEADER, &signature).header("i-twilio-idempotency-token", &token).send()
        };

        let mut sent = send().await;
        if sent.as_ref().is_err_and(reqwest::Error::is_connect) {
            sent = send().await;
        }
        let result = match sent {
            Ok(response) => {
                let (status, headers) = (response.status(), response.headers().clone());
                response.bytes().await.map(|body| Answer { status, headers, body })
            }
            Err(error) => Err(error),
        };
        let status = result.as_ref().ok().map(|answer| answer.status.as_u16());
        let (host, path) = (url.host_str(), url.path());
        debug!(status, host, path, "sent a callback");
        let delivery = Delivery { url: url.to_string(), params: params.to_vec(), status };
        self.change(|state| {
            if state.deliveries.len() == REMEMBERED {
                state.deliveries.pop_front();
            }
            state.deliveries.push_back(delivery);
        });
        result.map_err(|error| {
            let code = if error.is_connect() { 11205 } else { 11200 };
            Problem::new(code, error.without_url())
        })
    }
}
