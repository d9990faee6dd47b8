//! The listener: how long a client may take to ask, and how the last ones are seen off.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use tokio::task::JoinSet;

/// A request's head comes within this, and an idle connection is kept this long.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// The most that a request's head may hold.
const LARGEST_HEAD: usize = 64 << 10;

/// When the program stops, requests under way have this long to end.
const DRAIN: Duration = Duration::from_millis(8_500);

/// Listeners that are being served.
#[derive(Debug)]
pub struct Server {
    handles: Vec<Handle<SocketAddr>>,
    running: JoinSet<io::Result<()>>,
}

impl Server {
    /// Serves the same routes at every listener.
    ///
    /// # Errors
    /// If a listener cannot be used.
    pub fn start(router: &Router, listeners: Vec<TcpListener>) -> io::Result<Self> {
        let mut server = Self { handles: Vec::new(), running: JoinSet::new() };
        for listener in listeners {
            let handle = Handle::new();
            // HTTP/1.1 alone: nobody who calls here needs HTTP/2 without TLS.
            let mut serving = axum_server::from_tcp(listener)?.http1_only().handle(handle.clone());
            serving = serving.first_request_timeout(HEAD_DEADLINE);
            serving.http_builder().http1().header_read_timeout(HEAD_DEADLINE).max_buf_size(LARGEST_HEAD);
            let service = router.clone().into_make_service_with_connect_info::<SocketAddr>();
            server.running.spawn(serving.serve(service));
            server.handles.push(handle);
        }
        Ok(server)
    }

    /// Takes no new connection, lets the requests under way end, and cuts off what has not ended in time.
    pub async fn stop(mut self) {
        for handle in &self.handles {
            handle.graceful_shutdown(Some(DRAIN));
        }
        while self.running.join_next().await.is_some() {}
    }
}
