//! Serving until told to stop.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use strongroom_broker::Broker;
use strongroom_http::{App, Metrics, Served, TlsListener, control_router, flags_router, metrics_router, router, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, StoreChoice};
use crate::control::Control;
use crate::tls;

/// A server that runs in this process.
pub struct Running {
    pub address: SocketAddr,
    /// Of the listener of flags, where there is one.
    pub flags_address: Option<SocketAddr>,
    pub broker: Broker,
    stop: CancellationToken,
    app: App,
    tls: Option<tls::Served>,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    /// What its users write.
    pub fn url(&self) -> String {
        self.url_of(self.address)
    }

    pub fn flags_url(&self) -> Option<String> {
        self.flags_address.map(|address| self.url_of(address))
    }

    fn url_of(&self, address: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{address}")
    }

    /// Reads again what can be read again.
    pub fn reload(&self) {
        match &self.tls {
            Some(tls) => tls.reload(),
            None => tracing::info!("there is no certificate to be read again"),
        }
    }

    /// Not ready any more, no new connections; open requests finish within the drain deadline.
    pub async fn stop(self) {
        self.app.draining.cancel();
        self.stop.cancel();
        for task in self.tasks {
            let _ = task.await;
        }
        self.broker.flush().await;
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running on {}", self.address)
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("{address} cannot be listened on: {error}."))
}

fn served(config: &Config, broker: &Broker, serve_metrics: bool) -> Result<App, String> {
    let metrics = Metrics::new(broker, env!("CARGO_PKG_VERSION")).map_err(|error| error.to_string())?;
    Ok(Arc::new(Served::new(
        broker.clone(),
        metrics,
        config.request_deadline,
        serve_metrics,
        config.flag_origins.clone(),
        config.sources.clone(),
    )))
}

/// A server for this machine's operator alone, on a socket in a directory of ours.
#[derive(Debug)]
pub(crate) struct Console {
    broker: Broker,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Console {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
        self.broker.flush().await;
    }
}

pub(crate) fn console(config: &Config, broker: Broker, directory: &Path) -> Result<Console, String> {
    let app = served(config, &broker, true)?;
    let stop = CancellationToken::new();
    let control = Control::bind(directory)?;
    let serving = serve(
        control,
        app.clone(),
        control_router(app),
        config.limits.clone(),
        stop.clone(),
    );
    Ok(Console {
        broker,
        stop,
        task: tokio::spawn(serving),
    })
}

pub async fn start(config: &Config, broker: Broker) -> Result<Running, String> {
    #[cfg(feature = "failpoints")]
    tracing::warn!("this program has fail points, where tests stop it: it is no release");
    let app = served(config, &broker, config.metrics_listen.is_none())?;
    let stop = CancellationToken::new();
    let tls = match &config.tls {
        Some(tls) => Some(tls::Served::start(tls, app.metrics.clone(), stop.clone())?),
        None => None,
    };
    let listener = bind(config.listen).await?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let mut tasks = Vec::new();
    if let Some(listen) = config.metrics_listen {
        let serving = serve(
            bind(listen).await?,
            app.clone(),
            metrics_router(app.clone()),
            config.limits.clone(),
            stop.clone(),
        );
        tasks.push(tokio::spawn(serving));
    }
    let mut flags_address = None;
    if let Some(listen) = config.flags_listen {
        let listener = bind(listen).await?;
        flags_address = Some(listener.local_addr().map_err(|error| error.to_string())?);
        let (app, limits) = (Arc::new(app.for_browsers()), config.limits.clone());
        let router = flags_router(app.clone());
        tasks.push(match &tls {
            Some(tls) => tokio::spawn(serve(
                TlsListener::new(listener, tls.config.clone()),
                app,
                router,
                limits,
                stop.clone(),
            )),
            None => tokio::spawn(serve(listener, app, router, limits, stop.clone())),
        });
    }
    if let StoreChoice::Sqlite(directory) = &config.store {
        match Control::bind(directory) {
            Ok(control) => tasks.push(tokio::spawn(serve(
                control,
                app.clone(),
                control_router(app.clone()),
                config.limits.clone(),
                stop.clone(),
            ))),
            // Nobody is served by it: a directory of too long a name must not keep a server from its work.
            Err(says) => tracing::warn!("{says} 'strongroom operator' will not reach this server."),
        }
    }
    let (router, limits) = (router(app.clone()), config.limits.clone());
    tasks.push(match &tls {
        Some(tls) => {
            let listener = TlsListener::new(listener, tls.config.clone());
            tokio::spawn(serve(listener, app.clone(), router, limits, stop.clone()))
        }
        None => tokio::spawn(serve(listener, app.clone(), router, limits, stop.clone())),
    });
    Ok(Running {
        address,
        flags_address,
        broker,
        stop,
        app,
        tls,
        tasks,
    })
}

/// The signals that tell the process to stop, caught from the moment this is made: before anybody is told that it serves.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub fn catch() -> Result<Self, String> {
        Ok(Self {
            terminate: caught(SignalKind::terminate())?,
            interrupt: caught(SignalKind::interrupt())?,
        })
    }

    pub async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// The same for a daemon, which has no terminal that could hang up: it is told by that signal to read again.
    pub async fn wait_or_reload(&mut self, mut reload: Signal, running: &Running) {
        loop {
            tokio::select! {
                () = self.wait() => return,
                _ = reload.recv() => running.reload(),
            }
        }
    }
}

pub fn caught(kind: SignalKind) -> Result<Signal, String> {
    signal(kind).map_err(|error| format!("Signals cannot be handled: {error}."))
}
