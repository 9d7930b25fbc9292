//! Accepting connections, serving requests on them, and draining.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::write_timeout::WriteTimeout;

/// How long connections may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// From the last answer, or from the beginning, to the end of the next headers: who
    /// takes longer holds a connection for nothing, and is disconnected.
    pub(crate) headers: Duration,
    /// Without a byte that the client takes of an answer: who stops reading holds what is
    /// still to be sent, and is disconnected.
    pub(crate) write: Duration,
    /// For requests in progress when the server ends.
    pub(crate) drain: Duration,
}

/// Serves until `shutdown` completes, then lets the requests in progress end.
pub(crate) async fn serve<L: Listener>(
    mut listener: L,
    router: Router,
    timeouts: Timeouts,
    shutdown: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(timeouts.headers);
    // Without this, every connection has a copy of all routes with their layers, which is most
    // of a megabyte.
    let router: Router = router.with_state(());
    let (stopping, stopped) = watch::channel(false);
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            (stream, _) = listener.accept() => {
                let service = TowerToHyperService::new(router.clone());
                let stream = WriteTimeout::new(stream, timeouts.write);
                let connection = http.serve_connection(TokioIo::new(stream), service);
                let mut stopped = stopped.clone();
                tokio::spawn(async move {
                    let mut connection = pin!(connection);
                    // A client that breaks off is no fault of ours.
                    tokio::select! {
                        _ = connection.as_mut() => return,
                        _ = stopped.changed() => connection.as_mut().graceful_shutdown(),
                    }
                    let _ = connection.await;
                });
            }
            () = &mut shutdown => break,
        }
    }
    drop((listener, stopped));
    stopping.send_replace(true);
    // Each connection has a receiver until it ends.
    if timeout(timeouts.drain, stopping.closed()).await.is_err() {
        tracing::warn!("requests were still in progress when the server ended");
    }
}
