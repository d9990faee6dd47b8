//! The public address of this program, requested as any stranger may request it: without credentials, under any `Host`,
//! with either form of target. No HTTP client sends such requests, so they are written by hand. They go straight to the
//! address, and through no proxy that the environment names.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::clients::tls;

/// The answer of an instance fits into this many bytes; the rest of a longer one is not read.
const LARGEST_ANSWER: usize = 16 << 10;

/// Timeout of connecting to one of several addresses.
const CONNECT: Duration = Duration::from_secs(3);

/// Timeout of resolving the name, and of a whole request.
const DEADLINE: Duration = Duration::from_secs(10);

pub struct PublicAddress {
    /// Host and port.
    authority: String,
    /// For `https`, the connector and the name that the certificate must have.
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl PublicAddress {
    /// Returns `None` if this `http` or `https` URL has no host.
    pub fn new(url: &str) -> Option<Self> {
        let url = url::Url::parse(url).ok()?;
        let (host, port) = (url.host_str()?, url.port_or_known_default()?);
        let tls = match url.scheme() {
            "https" => {
                let mut config = tls::config();
                config.alpn_protocols = vec![b"http/1.1".to_vec()];
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).ok()?;
                Some((TlsConnector::from(Arc::new(config)), name))
            }
            _ => None,
        };
        Some(Self { authority: format!("{host}:{port}"), tls })
    }

    /// Returns the addresses that the host's name resolves to.
    pub async fn resolve(&self) -> Result<Vec<SocketAddr>> {
        Ok(timeout(DEADLINE, lookup_host(&self.authority)).await??.collect())
    }

    /// Returns head and body of whatever answers at these addresses. A connection that is closed without a byte is an answer
    /// too.
    ///
    /// # Errors
    /// If nothing can be connected to or answers in time, or if a proxy answers that there is nothing behind it (5xx).
    pub async fn get(&self, addresses: &[SocketAddr], target: &str, host: &str) -> Result<Vec<u8>> {
        let agent = concat!("callscribe/", env!("CARGO_PKG_VERSION"));
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n");
        let mut answer = Vec::new();
        let end = timeout(DEADLINE, self.exchange(addresses, request.as_bytes(), &mut answer)).await;
        // A server that does not close the connection, or not properly, may have sent its whole answer before.
        match end.map_err(Error::from).flatten() {
            Err(error) if answer.is_empty() => Err(error),
            _ if answer.starts_with(b"HTTP/1.") && answer.get(9) == Some(&b'5') => Err(ErrorKind::NotConnected.into()),
            _ => Ok(answer),
        }
    }

    async fn exchange(&self, addresses: &[SocketAddr], request: &[u8], answer: &mut Vec<u8>) -> Result<()> {
        let stream = connect(addresses).await?;
        match &self.tls {
            Some((tls, name)) => talk(tls.connect(name.clone(), stream).await?, request, answer).await,
            None => talk(stream, request, answer).await,
        }
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream> {
    let mut last = ErrorKind::NotFound.into();
    for address in addresses {
        match timeout(CONNECT, TcpStream::connect(address)).await.map_err(Error::from).flatten() {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8], answer: &mut Vec<u8>) -> Result<()> {
    stream.write_all(request).await?;
    stream.flush().await?;
    while answer.len() < LARGEST_ANSWER && stream.read_buf(answer).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// What `get` returns if the server sends this and closes the connection.
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
        let addresses = public.resolve().await.expect("a numeric address");
        tokio::join!(public.get(&addresses, "/", "localhost"), serve).0
    }

    #[tokio::test]
    async fn who_closes_has_answered_and_who_cannot_reach_anybody_has_not() {
        assert_eq!(answered_with("").await.expect("an answer"), b"");
        assert!(answered_with("HTTP/1.1 403 Forbidden\r\n\r\n5").await.expect("an answer").ends_with(b"5"));
        assert!(answered_with("HTTP/1.1 502 Bad Gateway\r\n\r\n").await.is_err());
        let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound");
        let public = PublicAddress::new(&format!("http://{nobody}")).expect("an address");
        assert!(public.get(&[nobody], "/", "localhost").await.is_err());
    }

    #[tokio::test]
    async fn what_speaks_no_tls_has_not_answered_where_tls_is_to_be() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let public = PublicAddress::new(&format!("https://{address}")).expect("an address");
        let addresses = [address];
        let (answer, ()) = tokio::join!(public.get(&addresses, "/", "localhost"), async {
            drop(listener.accept().await.expect("a connection"));
        });
        assert!(answer.is_err());
    }
}
