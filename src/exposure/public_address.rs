//! The public address of this program, requested as any stranger may request it: without credentials, under any `Host`,
//! with either form of target. No HTTP client sends such requests, so they are written by hand. They go straight to the
//! address, and through no proxy that the environment names.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::clients::tls;
use crate::urls::Urls;

/// The answer of an instance fits into this many bytes; the rest of a longer one is not read.
const LARGEST_ANSWER: usize = 16 << 10;

/// Timeout of connecting.
const CONNECT: Duration = Duration::from_secs(3);

/// Timeout of resolving the name, of TLS, and of a whole request.
const DEADLINE: Duration = Duration::from_secs(10);

/// Maximum number of a name's addresses that are connected to.
const ADDRESSES: usize = 8;

pub struct PublicAddress {
    /// Host and port.
    authority: String,
    /// For `https`, the connector and the name to ask for.
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// A connection to the public address.
pub struct Connection(Box<dyn Stream>);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why nothing could be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unconnected {
    /// There is no such name, no way there, or nothing that accepts connections.
    Nobody,
    /// It took too long.
    TooSlow,
    /// It failed here, which shows nothing about what is there.
    Failed,
}

/// What a plain request to the public address is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The host's name has no address.
    Unresolved,
    /// Nothing accepts connections or speaks HTTP there, as far as can be seen from here.
    Nobody,
    /// An answer with this status, not one of this program.
    Other(u16),
    /// The answer of this program to a health check.
    Healthy,
}

/// Requests the health check at the public address, once. Unlike a look, that changes nothing for a program that runs.
pub async fn ask(urls: &Urls) -> Answer {
    let Some(address) = PublicAddress::new(urls.base()) else { return Answer::Unresolved };
    let addresses = match address.resolve().await {
        Ok(addresses) => addresses,
        Err(Unconnected::Nobody) => return Answer::Unresolved,
        Err(Unconnected::TooSlow | Unconnected::Failed) => return Answer::Nobody,
    };
    let Ok((_, stream)) = first_connectable(&addresses).await else { return Answer::Nobody };
    let Ok(mut connection) = address.over(stream).await else { return Answer::Nobody };
    let url = format!("{}/healthz", urls.base());
    let answer = connection.ask(urls.path_of(&url), urls.authority(), |_| false).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&answer);
    let status = text.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    // A proxy may send it in chunks.
    let is_ok = || text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.lines().any(|line| line == "ok"));
    match status {
        Some(200) if is_ok() => Answer::Healthy,
        Some(status) => Answer::Other(status),
        None => Answer::Nobody,
    }
}

/// Accepts every certificate, as a stranger may. Probes hold nothing secret, and their answers are signed.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

impl PublicAddress {
    /// Returns `None` if this `http` or `https` URL has no host.
    pub fn new(url: &str) -> Option<Self> {
        let url = url::Url::parse(url).ok()?;
        let (host, port) = (url.host_str()?, url.port_or_known_default()?);
        let tls = match url.scheme() {
            "https" => {
                let mut config = tls::config();
                config.dangerous().set_certificate_verifier(Arc::new(AnyCertificate));
                config.alpn_protocols = vec![b"http/1.1".to_vec()];
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).ok()?;
                Some((TlsConnector::from(Arc::new(config)), name))
            }
            _ => None,
        };
        Some(Self { authority: format!("{host}:{port}"), tls })
    }

    /// Returns the addresses that the host's name resolves to.
    pub async fn resolve(&self) -> std::result::Result<Vec<SocketAddr>, Unconnected> {
        match timeout(DEADLINE, lookup_host(&self.authority)).await {
            Ok(Ok(addresses)) => Ok(addresses.collect()),
            Ok(Err(_)) => Err(Unconnected::Nobody),
            Err(_) => Err(Unconnected::TooSlow),
        }
    }

    /// Opens a connection to this address.
    pub async fn open(&self, address: SocketAddr) -> Result<Connection> {
        self.over(connect(address).await?).await
    }

    /// Opens a connection over this stream.
    pub async fn over(&self, stream: TcpStream) -> Result<Connection> {
        Ok(Connection(match &self.tls {
            Some((tls, name)) => Box::new(timeout(DEADLINE, tls.connect(name.clone(), stream)).await??),
            None => Box::new(stream),
        }))
    }
}

/// Returns the address that could be connected to first, and the stream.
pub async fn first_connectable(addresses: &[SocketAddr]) -> std::result::Result<(SocketAddr, TcpStream), Unconnected> {
    let attempts = addresses.iter().take(ADDRESSES).map(async |address| (*address, connect(*address).await));
    let mut attempts: FuturesUnordered<_> = attempts.collect();
    let mut outcome = Unconnected::Nobody;
    while let Some((address, connected)) = attempts.next().await {
        match connected {
            Ok(stream) => return Ok((address, stream)),
            Err(error) => outcome = outcome.or(Unconnected::of(address, &error)),
        }
    }
    Err(outcome)
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    timeout(CONNECT, TcpStream::connect(address)).await?
}

impl Unconnected {
    /// What this error shows. Computers without IPv6 have an error of their own for its addresses.
    fn of(address: SocketAddr, error: &Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => Self::Nobody,
            ErrorKind::AddrNotAvailable if address.is_ipv6() => Self::Nobody,
            ErrorKind::TimedOut => Self::TooSlow,
            _ => Self::Failed,
        }
    }

    /// What two addresses show together.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Failed, _) | (_, Self::Failed) => Self::Failed,
            (Self::TooSlow, _) | (_, Self::TooSlow) => Self::TooSlow,
            (Self::Nobody, Self::Nobody) => Self::Nobody,
        }
    }
}

impl Connection {
    /// Sends a request and reads the response until `is_enough` returns `true`, the connection is closed, or the deadline has
    /// passed. Returns the head and body read so far, or nothing if the connection was closed without a byte.
    ///
    /// # Errors
    /// If no byte of a response arrives in time.
    pub async fn ask(&mut self, target: &str, host: &str, is_enough: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>> {
        let agent = concat!("callscribe/", env!("CARGO_PKG_VERSION"));
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n");
        let mut answer = Vec::new();
        let exchange = async {
            self.0.write_all(request.as_bytes()).await?;
            self.0.flush().await?;
            while !is_enough(&answer) && answer.len() < LARGEST_ANSWER && self.0.read_buf(&mut answer).await? > 0 {}
            Ok::<_, Error>(())
        };
        match timeout(DEADLINE, exchange).await {
            Err(elapsed) if answer.is_empty() => Err(elapsed.into()),
            // A server that does not close the connection, or not properly, may have sent its whole answer before.
            _ => Ok(answer),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Returns what is read if the server sends this answer and closes the connection.
    async fn answered_with(answer: &str) -> Result<Vec<u8>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let public = PublicAddress::new(&format!("http://{address}")).expect("an address");
        let serve = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.expect("a request");
            }
            stream.write_all(answer.as_bytes()).await.expect("bytes are taken");
        };
        let ask = async { public.open(address).await?.ask("/", "localhost", |_| false).await };
        tokio::join!(ask, serve).0
    }

    async fn unused_address() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("a bound listener")
    }

    #[tokio::test]
    async fn a_closed_connection_is_no_answer() {
        assert_eq!(answered_with("").await.expect("an end"), b"");
        assert!(answered_with("HTTP/1.1 403 Forbidden\r\n\r\n5").await.expect("an answer").ends_with(b"5"));
    }

    #[tokio::test]
    async fn what_speaks_no_tls_cannot_be_asked_over_tls() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let public = PublicAddress::new(&format!("https://{address}")).expect("an address");
        let (opened, ()) = tokio::join!(public.open(address), async {
            drop(listener.accept().await.expect("a connection"));
        });
        assert!(opened.is_err());
    }

    #[tokio::test]
    async fn one_address_of_several_is_enough_to_connect_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let (address, nobody) = (listener.local_addr().expect("a bound listener"), unused_address().await);
        let (first, _) = first_connectable(&[nobody, address]).await.expect("a connection");
        assert_eq!(first, address);
        for addresses in [&[nobody][..], &[]] {
            assert_eq!(first_connectable(addresses).await.err(), Some(Unconnected::Nobody));
        }
    }

    #[test]
    fn only_what_is_refused_shows_that_nobody_is_there() {
        use ErrorKind::{AddrNotAvailable, ConnectionRefused, NetworkUnreachable, PermissionDenied, TimedOut};
        for (address, kind, expected) in [
            ("192.0.2.1:80", ConnectionRefused, Unconnected::Nobody),
            ("192.0.2.1:80", NetworkUnreachable, Unconnected::Nobody),
            ("192.0.2.1:80", TimedOut, Unconnected::TooSlow),
            ("192.0.2.1:80", PermissionDenied, Unconnected::Failed),
            ("192.0.2.1:80", AddrNotAvailable, Unconnected::Failed),
            ("[2001:db8::1]:80", AddrNotAvailable, Unconnected::Nobody),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(Unconnected::of(address, &kind.into()), expected, "{address} {kind}");
        }
        assert_eq!(Unconnected::Nobody.or(Unconnected::TooSlow), Unconnected::TooSlow);
        assert_eq!(Unconnected::TooSlow.or(Unconnected::Failed), Unconnected::Failed);
    }
}
