//! The accept loop. Connections are bounded in number, and in time until their head is read; on stop they are given a
//! deadline to finish.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::App;
use crate::edge::{Routes, edge};
use crate::stall::Unstalled;
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use strongroom_broker::ClientCertificate;
use strongroom_domain::network::plain;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tower_http::sensitive_headers::SetSensitiveRequestHeaders;

#[derive(Debug, Clone)]
pub struct Limits {
    pub connections: usize,
    /// Until a request's head must have arrived.
    pub header_time: Duration,
    /// How long a client may take nothing of what it is sent.
    pub write_time: Duration,
    /// How long open requests may take once the server is told to stop.
    pub drain: Duration,
}

/// Who sits at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// As the log names where a request came from.
    pub name: Arc<str>,
    /// None: from this machine's own socket.
    pub address: Option<IpAddr>,
    /// Proved to be this machine's operator, who needs no token.
    pub operator: bool,
    /// What it showed in its TLS handshake.
    pub certificate: Option<Arc<ClientCertificate>>,
}

impl Peer {
    pub(crate) fn at(address: SocketAddr) -> Self {
        let address = plain(address.ip());
        Self {
            name: address.to_string().into(),
            address: Some(address),
            operator: false,
            certificate: None,
        }
    }
}

/// Where connections come from.
pub trait Listener: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// What a connection begins with, in a task of its own: nobody else waits for it.
    type Opening: Future<Output = io::Result<(Self::Stream, Peer)>> + Send + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<Self::Opening>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Opening = Ready<io::Result<(TcpStream, Peer)>>;

    async fn accept(&self) -> io::Result<Self::Opening> {
        let (stream, address) = Self::accept(self).await?;
        let _ = stream.set_nodelay(true);
        Ok(ready(Ok((stream, Peer::at(address)))))
    }
}

/// Serves until `stop` is cancelled, then lets open requests finish, at most for the drain deadline.
pub async fn serve(listener: impl Listener, app: App, router: Router, limits: Limits, stop: CancellationToken) {
    let builder = builder(limits.header_time);
    let router = SetSensitiveRequestHeaders::new(router, [http::header::AUTHORIZATION]);
    let slots = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    loop {
        let opening = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(opening) => opening,
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
            app.metrics.edge.refused_connections.inc();
            continue;
        };
        let (app, router, builder) = (app.clone(), router.clone(), builder.clone());
        let (watcher, stop, deadline) = (graceful.watcher(), stop.clone(), Instant::now() + limits.header_time);
        tokio::spawn(async move {
            let _slot = slot;
            app.metrics.edge.connections.inc();
            let opened = tokio::select! {
                opened = timeout_at(deadline, opening) => opened.unwrap_or_else(|late| Err(late.into())),
                // It has asked nothing yet.
                () = stop.cancelled() => Err(io::ErrorKind::Interrupted.into()),
            };
            match opened {
                Ok((stream, peer)) => {
                    let asked = Arc::new(AtomicBool::new(false));
                    let stream = Unstalled::new(stream, limits.write_time);
                    let connection = connection(&builder, stream, peer, app.clone(), router, asked.clone());
                    until_its_end(watcher.watch(connection), &asked, deadline).await;
                }
                Err(error) if stop.is_cancelled() => drop(error),
                Err(_) => app.metrics.edge.handshake_failures.inc(),
            }
            app.metrics.edge.connections.dec();
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were cut off at the drain deadline");
    }
}

/// How a connection ends is its client's business, but one that has asked nothing by the deadline is closed.
async fn until_its_end(connection: impl Future, asked: &AtomicBool, deadline: Instant) {
    tokio::pin!(connection);
    tokio::select! {
        biased;
        _ = &mut connection => {}
        () = sleep_until(deadline) => {
            if asked.load(Ordering::Relaxed) {
                let _ = connection.await;
            }
        }
    }
}

fn builder(header_time: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_time)
        .max_buf_size(64 * 1024)
        // Head and body go out in one piece. `pipeline_flush` would do so too, and take in a body without bound.
        .writev(false);
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
