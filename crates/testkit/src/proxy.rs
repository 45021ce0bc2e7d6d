//! A network that fails on command: a TCP proxy to put between the program and PostgreSQL, or a client and the program.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    ToServer,
    ToClient,
}

/// One chunk that was let through.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub at: Instant,
    pub direction: Direction,
    pub bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Forward,
    HoldReplies,
    Hang,
    Cut,
}

impl Mode {
    fn lets(self, direction: Direction) -> bool {
        self == Self::Forward || self == Self::HoldReplies && direction == Direction::ToServer
    }
}

/// What connections watch. The number of cuts lets one end even where `heal` follows before it looked.
#[derive(Clone, Copy, Debug)]
struct State {
    mode: Mode,
    cuts: u64,
}

/// A proxy on a port of 127.0.0.1. It runs on a thread of its own, so it keeps going while a test blocks, and is gone, with
/// its connections, when dropped.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

impl Proxy {
    pub fn start(upstream: SocketAddr) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_io()
            .build()
            .expect("a runtime for the proxy");
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port for the proxy");
        listener.set_nonblocking(true).expect("a listener for the runtime");
        let addr = listener.local_addr().expect("the port of the proxy");
        let shared = Arc::new(Shared {
            upstream,
            state: watch::Sender::new(State {
                mode: Mode::Forward,
                cuts: 0,
            }),
            until_cut: Mutex::default(),
            events: Mutex::default(),
        });
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Self {
            addr,
            shared,
            runtime: Some(runtime),
        }
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Resets every connection, and every new one, until [`Proxy::heal`].
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Keeps connections open and forwards nothing. New ones are accepted and hang as well.
    pub fn hang(&self) {
        self.shared.enter(Mode::Hang);
    }

    /// Forwards what clients send, and holds what the server answers.
    pub fn hang_replies(&self) {
        self.shared.enter(Mode::HoldReplies);
    }

    /// Cuts as soon as so many bytes from now have been forwarded to the server, over all connections.
    pub fn cut_after(&self, bytes_to_server: u64) {
        *lock(&self.shared.until_cut) = Some(bytes_to_server);
    }

    /// Forwards again, also what was held. Connections that were cut stay cut.
    pub fn heal(&self) {
        *lock(&self.shared.until_cut) = None;
        self.shared.enter(Mode::Forward);
    }

    /// Every chunk that was forwarded so far, in order.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.shared.events).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // A plain drop would wait for the tasks, which an async test must not do.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    state: watch::Sender<State>,
    until_cut: Mutex<Option<u64>>,
    events: Mutex<Vec<Event>>,
}

impl Shared {
    fn enter(&self, mode: Mode) {
        self.state.send_modify(|state| state.mode = mode);
    }

    fn cut(&self) {
        self.state.send_modify(|state| {
            *state = State {
                mode: Mode::Cut,
                cuts: state.cuts + 1,
            }
        });
    }

    /// How many of `bytes` may go to the server, and whether the cut comes right behind them.
    fn spend(&self, bytes: usize) -> (usize, bool) {
        let mut until_cut = lock(&self.until_cut);
        let Some(left) = *until_cut else { return (bytes, false) };
        let wanted = bytes as u64;
        *until_cut = (wanted < left).then(|| left - wanted);
        if wanted < left {
            (bytes, false)
        } else {
            (usize::try_from(left).unwrap_or(bytes), true)
        }
    }

    fn record(&self, direction: Direction, bytes: usize) {
        lock(&self.events).push(Event {
            at: Instant::now(),
            direction,
            bytes,
        });
    }
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).expect("a listener for the runtime");
    loop {
        // Accepting fails for a connection that is already gone; the next one is another matter.
        if let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, Arc::clone(&shared)));
        }
    }
}

async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    let state = shared.state.subscribe();
    let cuts = state.borrow().cuts;
    let mut cut = state.clone();
    let was_cut = cut.wait_for(|state| state.mode == Mode::Cut || state.cuts != cuts);
    let finished = tokio::select! {
        biased;
        _ = was_cut => false,
        result = forward(&mut client, &shared, state) => result.is_ok(),
    };
    if !finished {
        // The client gets a reset, as from a machine that vanished. The server's side was closed as usual: a reset there
        // could destroy bytes that were forwarded and must count as received.
        let _ = client.set_zero_linger();
    }
}

/// Both directions, until both have ended.
async fn forward(client: &mut TcpStream, shared: &Shared, state: watch::Receiver<State>) -> io::Result<()> {
    let mut first = state.clone();
    let _ = first.wait_for(|state| state.mode.lets(Direction::ToServer)).await;
    let mut server = TcpStream::connect(shared.upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::try_join!(
        pump(from_client, to_server, Direction::ToServer, shared, state.clone()),
        pump(from_server, to_client, Direction::ToClient, shared, state),
    )?;
    Ok(())
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    direction: Direction,
    shared: &Shared,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        // Asked after reading: what arrives while nothing may pass waits here, and so does the end of the stream.
        let _ = state.wait_for(|state| state.mode.lets(direction)).await;
        if read == 0 {
            return to.shutdown().await;
        }
        let (bytes, cut) = if direction == Direction::ToServer {
            shared.spend(read)
        } else {
            (read, false)
        };
        // Before the write: whoever holds a byte that passed finds its event.
        shared.record(direction, bytes);
        to.write_all(buffer.get(..bytes).unwrap_or_default()).await?;
        if cut {
            shared.cut();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
