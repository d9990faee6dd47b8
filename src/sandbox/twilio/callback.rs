//! Sending signed requests to the program, as Twilio sends them.
//!
//! Parameters and phone numbers are never logged; URLs are, without their query.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode};
use tracing::debug;
use url::Url;
use uuid::Uuid;

use super::account::{Delivery, SharedKey};
use super::application_error::ApplicationError;
use super::credentials::AUTH_TOKEN;
use super::emulator::Twilio;
use super::form::Param;
use crate::clients::twilio::signature::{self, Algorithm};
use crate::sandbox::control::Callbacks;

/// How long Twilio waits for a response from the program.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A status callback to be sent.
pub(super) struct Callback {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) params: Vec<Param>,
}

pub(super) struct ProgramResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Twilio {
    /// Sends a signed POST with parameters of the test's choice; returns the status of the response.
    pub async fn send_callback(&self, url: &str, params: &[Param]) -> Option<u16> {
        self.send(&Callback { method: Method::POST, url: url.to_owned(), params: params.to_vec() }).await
    }

    /// Sends a status callback once, twice or not at all, as [`Callbacks`] says.
    pub(super) async fn report(&self, callback: &Callback) {
        match self.control.callbacks() {
            Callbacks::Drop => {}
            Callbacks::Deliver | Callbacks::Shuffled => {
                self.send(callback).await;
            }
            Callbacks::Twice => {
                tokio::join!(self.send(callback), self.send(callback));
            }
        }
    }

    async fn send(&self, callback: &Callback) -> Option<u16> {
        let url = Url::parse(&callback.url).ok()?;
        let response = self.request(&callback.method, &url, &callback.params).await;
        response.ok().map(|response| response.status.as_u16())
    }

    /// Sends a signed request with the parameters as a form or, for GET, in the query.
    pub(super) async fn request(
        &self,
        method: &Method,
        url: &Url,
        params: &[Param],
    ) -> Result<ProgramResponse, ApplicationError> {
        let params = &self.spoken(params)[..];
        let mut url = url.clone();
        // Twilio reads the fragment itself; as it is not sent, it is not signed.
        url.set_fragment(None);
        let form = if *method == Method::GET {
            url.query_pairs_mut().extend_pairs(params);
            &[]
        } else {
            params
        };
        let mut signed = url.clone();
        // Both fail only for a URL without a host, which has no user either.
        let _ = (signed.set_username(""), signed.set_password(None));
        let (signature, settings) = match &self.account().shared_key {
            None => (signature::sign(Algorithm::HmacSha1, AUTH_TOKEN, signed.as_str(), form), None),
            Some(SharedKey { id, secret, algorithm }) => {
                let name = match algorithm {
                    Algorithm::HmacSha1 => "HMAC_SHA1",
                    Algorithm::HmacSha256 => "HMAC_SHA256",
                };
                let signature = signature::sign(*algorithm, secret, signed.as_str(), form);
                (signature, Some(format!("key={id},algorithm={name}")))
            }
        };
        let token = Uuid::new_v4().to_string();
        let send = || {
            let mut request = self.inner.http.request(method.clone(), url.clone()).timeout(TIMEOUT);
            if *method != Method::GET {
                request = request.form(form);
            }
            let request = request.header("user-agent", "TwilioProxy/1.1").header("accept", "*/*");
            let request = request.header(signature::HEADER, &signature).header("i-twilio-idempotency-token", &token);
            match &settings {
                Some(settings) => request.header(signature::SETTINGS_HEADER, settings),
                None => request,
            }
            .send()
        };

        let mut sent = send().await;
        if sent.as_ref().is_err_and(reqwest::Error::is_connect) {
            sent = send().await;
        }
        let result = match sent {
            Ok(response) => {
                let (status, headers) = (response.status(), response.headers().clone());
                response.bytes().await.map(|body| ProgramResponse { status, headers, body })
            }
            Err(error) => Err(error),
        };
        let status = result.as_ref().ok().map(|response| response.status.as_u16());
        let (host, path) = (url.host_str(), url.path());
        debug!(status, host, path, "sent a callback");
        let delivery = Delivery { url: url.to_string(), params: params.to_vec(), status };
        self.change(|account| account.add_delivery(delivery));
        result.map_err(|error| {
            let code = if error.is_connect() { 11205 } else { 11200 };
            ApplicationError::new(code, error.without_url())
        })
    }
}
