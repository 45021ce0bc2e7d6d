//! Where nobody answers, and nothing says so.

use std::time::{Duration, Instant};

use strongroom_connectors::{Allowed, Targets};
use strongroom_domain::target::{Engine, Tls};
use strongroom_ports::{Login, Rotator as _, Server, TargetError};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

/// Its queue is full: whoever comes by now is dropped without a word.
async fn black_hole() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = timeout(
        Duration::from_millis(300),
        TcpStream::connect(listener.local_addr().unwrap()),
    )
    .await
    {
        queue.push(stream.unwrap());
    }
    (listener, queue)
}

#[tokio::test]
async fn a_server_that_is_not_there_is_given_up_soon() {
    let (listener, _queue) = black_hole().await;
    let targets = Targets::new(Allowed::parse("127.0.0.1").unwrap(), true);
    for engine in [Engine::Postgres, Engine::Mysql, Engine::Redis] {
        let server = Server {
            engine,
            host: "127.0.0.1".into(),
            port: listener.local_addr().unwrap().port(),
            database: None,
            tls: Tls::Off,
            ca_pem: None,
        };
        let login = Login {
            username: "app".into(),
            password: "x".into(),
        };
        let began = Instant::now();
        let answer = targets.test(&server, &login, Duration::from_secs(20)).await;
        assert_eq!(answer, Err(TargetError::TimedOut), "{engine}");
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{engine}: {:?}",
            began.elapsed()
        );
    }
}
