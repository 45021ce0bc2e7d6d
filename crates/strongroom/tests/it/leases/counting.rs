//! A server that keeps users and does nothing else: what Redis answers to whoever makes leases, as fast as it is asked.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::Api;

const TEMPLATE: &str = "reporting";

pub(crate) struct Counting {
    pub(crate) address: String,
    users: Arc<Mutex<HashSet<String>>>,
}

impl Counting {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let users = Arc::new(Mutex::new(HashSet::new()));
        let all = users.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, all.clone()));
            }
        });
        Self { address, users }
    }

    /// Users of leases that there are.
    pub(crate) fn users(&self) -> usize {
        let users = self.users.lock().unwrap();
        users.iter().filter(|name| name.starts_with("sr_")).count()
    }

    /// As the target of a lease role `report`.
    pub(crate) async fn is_target(&self, root: &Api, leases: u32) {
        let admin = json!({ "data": { "username": "admin", "password": "x" } });
        let target = json!({
            "engine": "redis", "address": self.address, "tls": "off", "credential": "infra/admin",
        });
        let role = json!({ "target": "counting", "template": TEMPLATE, "max_leases": leases });
        for (path, body, expected) in [
            ("secrets/infra/admin", admin, 201),
            ("targets/counting", target, 200),
            ("lease-roles/report", role, 200),
        ] {
            let (status, answer) = root.put(path, body).await;
            assert_eq!(status, expected, "{path}: {answer}");
        }
    }
}

/// A lease of the role `report`, of so many seconds. A busy machine is no fault of it.
pub(crate) async fn lease(root: &Api, seconds: u64) -> Value {
    let mut refused = Value::Null;
    for _ in 0..10 {
        let asked = json!({ "ttl": format!("{seconds}s") });
        let (status, answer) = root.post("leases/report", asked).await;
        match status {
            201 => return answer,
            503 => refused = answer,
            _ => panic!("{status} {answer}"),
        }
    }
    panic!("{refused}");
}

/// An array of texts, as every command is sent.
async fn command(stream: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let mut line = String::new();
    let mut words = Vec::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    for _ in 0..line.trim().strip_prefix('*')?.parse::<usize>().ok()? {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        let mut word = vec![0; line.trim().strip_prefix('$')?.parse::<usize>().ok()? + 2];
        stream.read_exact(&mut word).await.ok()?;
        words.push(String::from_utf8_lossy(&word[..word.len() - 2]).into_owned());
    }
    Some(words)
}

async fn serve(stream: TcpStream, users: Arc<Mutex<HashSet<String>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(words) = command(&mut stream).await {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let answer = match words.as_slice() {
            // Others are not told of: a list of all would be asked for with each lease.
            ["ACL", "LIST"] => {
                let line = format!("user {TEMPLATE} off sanitize-payload resetchannels -@all +ping");
                format!("*1\r\n${}\r\n{line}\r\n", line.len())
            }
            ["ACL", "CAT", "admin"] => "*1\r\n$4\r\nsync\r\n".to_owned(),
            ["ACL", "SETUSER", name, ..] => {
                users.lock().unwrap().insert((*name).to_owned());
                "+OK\r\n".to_owned()
            }
            ["ACL", "DELUSER", name] => format!(":{}\r\n", u8::from(users.lock().unwrap().remove(*name))),
            _ => "+OK\r\n".to_owned(),
        };
        if stream.get_mut().write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
