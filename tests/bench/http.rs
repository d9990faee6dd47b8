//! The client of HTTP that everybody uses.

/// A client that keeps its connections, to this computer alone.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().tls_backend_preconfigured(tls()).no_proxy().build().expect("a client")
}

/// Trusts nobody: it talks to this computer alone, without TLS.
fn tls() -> rustls::ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let versions = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let roots = rustls::RootCertStore::empty();
    versions.expect("default versions").with_root_certificates(roots).with_no_client_auth()
}
