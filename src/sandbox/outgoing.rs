//! The HTTP client that sends the emulated vendors' callbacks and webhooks. It is meant for this computer only: it has no
//! root certificates, so `https` callbacks always fail.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// Returns a client without a proxy. It follows no redirects, because a signature covers a single address.
pub(super) fn client() -> reqwest::Client {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring offers the default protocol versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("nothing in these settings depends on the machine")
}
