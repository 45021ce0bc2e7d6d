use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use strongroom_testkit::{Direction, Proxy};

/// Long enough for a byte to cross the proxy, had it been let through.
const MOMENT: Duration = Duration::from_millis(150);

/// A server that tells what it received, and answers with the same bytes.
fn echo_server() -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let (mut connection, sender) = (connection.unwrap(), sender.clone());
            std::thread::spawn(move || {
                let mut buffer = [0; 1024];
                while let Ok(read @ 1..) = connection.read(&mut buffer) {
                    let _ = sender.send(buffer[..read].to_vec());
                    let _ = connection.write_all(&buffer[..read]);
                }
            });
        }
    });
    (addr, receiver)
}

fn connect(proxy: &Proxy) -> TcpStream {
    let client = TcpStream::connect(proxy.addr()).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client
}

fn expect_bytes(client: &mut TcpStream, expected: &[u8]) {
    let mut buffer = vec![0; expected.len()];
    client.read_exact(&mut buffer).unwrap();
    assert_eq!(buffer, expected);
}

fn expect_silence(client: &mut TcpStream) {
    client.set_read_timeout(Some(MOMENT)).unwrap();
    let error = client.read(&mut [0]).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{error}"
    );
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
}

fn expect_reset(client: &mut TcpStream) {
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
}

#[test]
fn it_forwards_and_tells_what_passed() {
    let (upstream, received) = echo_server();
    let proxy = Proxy::start(upstream);
    let mut client = connect(&proxy);
    client.write_all(b"hello").unwrap();
    expect_bytes(&mut client, b"hello");
    assert_eq!(received.recv().unwrap(), b"hello");
    let events: Vec<_> = proxy
        .events()
        .into_iter()
        .map(|event| (event.direction, event.bytes))
        .collect();
    assert_eq!(events, [(Direction::ToServer, 5), (Direction::ToClient, 5)]);
}

#[test]
fn the_end_of_a_stream_passes_too() {
    let (upstream, _received) = echo_server();
    let proxy = Proxy::start(upstream);
    let mut client = connect(&proxy);
    client.write_all(b"x").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"x");
}

#[test]
fn a_cut_resets_old_and_new_connections_until_healed() {
    let (upstream, _received) = echo_server();
    let proxy = Proxy::start(upstream);
    let mut old = connect(&proxy);
    old.write_all(b"x").unwrap();
    expect_bytes(&mut old, b"x");

    proxy.cut();
    expect_reset(&mut old);
    expect_reset(&mut connect(&proxy));

    proxy.heal();
    let mut new = connect(&proxy);
    new.write_all(b"y").unwrap();
    expect_bytes(&mut new, b"y");
}

#[test]
fn a_cut_that_is_healed_at_once_still_cuts() {
    let (upstream, _received) = echo_server();
    let proxy = Proxy::start(upstream);
    let mut client = connect(&proxy);
    client.write_all(b"x").unwrap();
    expect_bytes(&mut client, b"x");
    proxy.cut();
    proxy.heal();
    expect_reset(&mut client);
}

#[test]
fn hanging_holds_both_directions_and_loses_nothing() {
    let (upstream, received) = echo_server();
    let proxy = Proxy::start(upstream);
    let mut old = connect(&proxy);
    old.write_all(b"a").unwrap();
    expect_bytes(&mut old, b"a");
    received.recv().unwrap();

    proxy.hang();
    let mut new = connect(&proxy);
    old.write_all(b"b").unwrap();
    new.write_all(b"c").unwrap();
    expect_silence(&mut old);
    expect_silence(&mut new);
    assert!(received.try_recv().is_err());

    proxy.heal();
    expect_bytes(&mut old, b"b");
    expect_bytes(&mut new, b"c");
}

#[test]
fn a_hanging_connection_can_be_cut() {
    let (upstream, received) = echo_server();
    let proxy = Proxy::start(upstream);
    proxy.hang();
    let mut client = connect(&proxy);
    client.write_all(b"a").unwrap();
    expect_silence(&mut client);
    proxy.cut();
    expect_reset(&mut client);
    assert!(received.try_recv().is_err());
}

#[test]
fn replies_can_be_held_while_requests_pass() {
    let (upstream, received) = echo_server();
    let proxy = Proxy::start(upstream);
    let mut client = connect(&proxy);
    proxy.hang_replies();
    client.write_all(b"commit").unwrap();
    assert_eq!(received.recv().unwrap(), b"commit");
    expect_silence(&mut client);
    proxy.heal();
    expect_bytes(&mut client, b"commit");
}

#[test]
fn a_cut_after_n_bytes_delivers_exactly_these() {
    let (upstream, received) = echo_server();
    let proxy = Proxy::start(upstream);
    let mut client = connect(&proxy);
    client.write_all(b"before").unwrap();
    expect_bytes(&mut client, b"before");
    received.recv().unwrap();

    proxy.cut_after(8);
    client.write_all(b"12345").unwrap();
    expect_bytes(&mut client, b"12345");
    received.recv().unwrap();
    client.write_all(b"67890").unwrap();
    assert_eq!(received.recv().unwrap(), b"678");
    let mut rest = Vec::new();
    let error = client.read_to_end(&mut rest).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn it_starts_and_ends_inside_a_runtime() {
    let (upstream, _received) = echo_server();
    let proxy = Proxy::start(upstream);
    let mut client = connect(&proxy);
    client.write_all(b"x").unwrap();
    expect_bytes(&mut client, b"x");
    drop(proxy);
}
