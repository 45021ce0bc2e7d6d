//! A server that may refuse to start.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use strongroom_testkit::free_port;

use crate::harness::Store;

pub(crate) struct Started {
    child: Child,
    pub(crate) address: String,
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server, or what it said when it refused.
pub(crate) async fn start(store: &Store) -> Result<Started, String> {
    let port = free_port();
    let log = store.dir.path().join(format!("refusal-{port}"));
    let file = std::fs::File::create(&log).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
    command
        .arg("dev")
        .arg("--data-dir")
        .arg(store.data_dir())
        .args(["--listen", &format!("127.0.0.1:{port}")]);
    command
        .env_clear()
        .env("STRONGROOM_ISSUER", "http://strongroom.test")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file);
    if let Some(url) = &store.url {
        command.env("STRONGROOM_DATABASE_URL", url);
    }
    let mut started = Started {
        child: command.spawn().unwrap(),
        address: format!("http://127.0.0.1:{port}"),
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if started.child.try_wait().unwrap().is_some() {
            return Err(std::fs::read_to_string(&log).unwrap().trim().to_owned());
        }
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(started);
        }
        assert!(Instant::now() < deadline, "the server neither starts nor refuses");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
