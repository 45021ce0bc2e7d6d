//! The accept loop. Connections are bounded in number, and in time until their head is read; on stop they are given a
//! deadline to finish.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::App;
use crate::edge::{Routes, edge};
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use strongroom_broker::ClientCertificate;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::sensitive_headers::SetSensitiveRequestHeaders;

#[derive(Debug, Clone)]
pub struct Limits {
    pub connections: usize,
    /// Until a request's head must have arrived.
    pub header_time: Duration,
    /// How long open requests may take once the server is told to stop.
    pub drain: Duration,
}

/// Who sits at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// As the log names where a request came from.
    pub name: Arc<str>,
    /// Proved to be this machine's operator, who needs no token.
    pub operator: bool,
    /// What it showed in its TLS handshake.
    pub certificate: Option<Arc<ClientCertificate>>,
}

/// Where connections come from.
pub trait Listener: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Peer)>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        let (stream, address) = Self::accept(self).await?;
        let _ = stream.set_nodelay(true);
        let peer = Peer {
            name: address.ip().to_canonical().to_string().into(),
            operator: false,
            certificate: None,
        };
        Ok((stream, peer))
    }
}

/// Serves until `stop` is cancelled, then lets open requests finish, at most for the drain deadline.
pub async fn serve(listener: impl Listener, app: App, router: Router, limits: Limits, stop: CancellationToken) {
    let builder = builder(limits.header_time);
    let router = SetSensitiveRequestHeaders::new(router, [http::header::AUTHORIZATION]);
    let slots = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: leave room to recover.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = stop.cancelled() => break,
        };
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            app.metrics.refused_connections.inc();
            continue;
        };
        let asked = Arc::new(AtomicBool::new(false));
        let connection = connection(&builder, stream, peer, app.clone(), router.clone(), asked.clone());
        let connection = graceful.watch(connection.into_owned());
        let (open, header_time) = (app.metrics.connections.clone(), limits.header_time);
        open.inc();
        tokio::spawn(async move {
            let _slot = slot;
            tokio::pin!(connection);
            // How a connection ends is its client's business, but one that never asks anything is closed.
            tokio::select! {
                biased;
                _ = &mut connection => {}
                () = tokio::time::sleep(header_time) => {
                    if asked.load(Ordering::Relaxed) {
                        let _ = connection.await;
                    }
                }
            }
            open.dec();
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were cut off at the drain deadline");
    }
}

fn builder(header_time: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_time)
        .max_buf_size(64 * 1024)
        .pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .max_concurrent_streams(256)
        .max_header_list_size(32 * 1024);
    builder
}

fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    builder: &Builder<TokioExecutor>,
    stream: S,
    peer: Peer,
    app: App,
    router: Routes,
    asked: Arc<AtomicBool>,
) -> hyper_util::server::conn::auto::Connection<
    '_,
    TokioIo<S>,
    impl hyper::service::Service<
        http::Request<Incoming>,
        Response = http::Response<Body>,
        Error = Infallible,
        Future: Send + 'static,
    > + use<S>,
    TokioExecutor,
> {
    let service = service_fn(move |request| {
        asked.store(true, Ordering::Relaxed);
        edge(app.clone(), router.clone(), peer.clone(), request)
    });
    builder.serve_connection(TokioIo::new(stream), service)
}
