//! The HTTP client of all benchmarks.

/// A client with kept connections, for loopback only.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().tls_backend_preconfigured(tls()).no_proxy().build().expect("a client")
}

/// A TLS configuration without trusted roots: on loopback, TLS is not used.
fn tls() -> rustls::ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let versions = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let roots = rustls::RootCertStore::empty();
    versions.expect("default versions").with_root_certificates(roots).with_no_client_auth()
}
