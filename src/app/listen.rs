//! The addresses that callscribe listens at.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use tokio::net::TcpSocket;

use crate::config::{Problem, ServerConfig};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1_024;

pub(super) fn bind(config: &ServerConfig) -> Result<Vec<TcpListener>, Problem> {
    let mut listeners = Vec::new();
    for address in &config.bind {
        match listen(*address) {
            Ok(listener) => listeners.push(listener),
            // The default address includes IPv6. A computer without it has many errors for that.
            Err(error) if !config.bind_is_set && address.is_ipv6() && !is_denied(&error) => {
                tracing::warn!("not listening at {address}: {error}");
            }
            Err(error) => return Err(unavailable("BIND_ADDR", *address, &error)),
        }
    }
    Ok(listeners)
}

/// As `TcpListener::bind`, whose backlog of 128 would delay a burst of connections by a second.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Otherwise connections of an earlier process could keep the port for a minute.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

fn is_denied(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied)
}

pub(super) fn unavailable(setting: &str, address: SocketAddr, error: &std::io::Error) -> Problem {
    let reason = match error.kind() {
        ErrorKind::AddrInUse => "is in use by another program".to_owned(),
        ErrorKind::PermissionDenied => "requires more privileges than this user has".to_owned(),
        kind => format!("cannot be listened on: {kind}"),
    };
    Problem::new(setting, format!("{address} {reason}"))
}
