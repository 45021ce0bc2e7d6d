//! The real program in a process of its own, on a store of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use serde_json::Value;
use strongroom_testkit::{Database, Proxy};
use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_strongroom");

/// The program of tomorrow, with the feature `next-schema`.
pub(crate) static TOMORROW: LazyLock<PathBuf> =
    LazyLock::new(|| built("STRONGROOM_NEXT_PROGRAM", "next-schema", "strongroom-next"));
/// The program with the feature `failpoints`.
pub(crate) static FAULTS: LazyLock<PathBuf> =
    LazyLock::new(|| built("STRONGROOM_FAULTS_PROGRAM", "failpoints", "strongroom-faults"));

/// The program that the variable names, or one built beside this one: under a name of its own, so that nothing which runs is
/// replaced.
fn built(variable: &str, feature: &str, name: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let (began, target) = (Instant::now(), Path::new(PROGRAM).ancestors().nth(2).unwrap());
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = ["build", "--quiet", "--locked", "--package", "strongroom", "--features"];
    let built = Command::new(cargo)
        .args(build)
        .args([feature, "--bin", name, "--target-dir"])
        .arg(target)
        .status();
    assert!(built.unwrap().success(), "{name} is built");
    println!("{name} was built in {:.1?}", began.elapsed());
    target.join("debug").join(name)
}

/// Which store a test runs on. Everything that concerns promises runs on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

/// For tests that read every version they wrote.
pub(crate) const KEEP_ALL: (&str, &str) = ("STRONGROOM_LIMITS_VERSIONS", "1000");

/// What a server keeps its rows in; dropped after every server on it.
pub(crate) struct Store {
    pub(crate) on: On,
    pub(crate) dir: TempDir,
    /// Held for its drop.
    _database: Option<Database>,
    /// Instead of `database`: a cluster of the test's own, or a proxy before one.
    pub(crate) url: Option<String>,
}

impl Store {
    pub(crate) fn fresh(on: On) -> Self {
        let database = (on == On::Postgres).then(Database::fresh);
        let url = database.as_ref().map(|database| database.url().to_owned());
        Self {
            on,
            dir: tempfile::tempdir().unwrap(),
            _database: database,
            url,
        }
    }

    /// On PostgreSQL, with a proxy before it.
    pub(crate) fn behind_proxy() -> (Self, Proxy) {
        let mut store = Self::fresh(On::Postgres);
        let (url, proxy) = store.proxy();
        store.url = Some(url);
        (store, proxy)
    }

    /// A proxy before its PostgreSQL, and the address by way of that.
    pub(crate) fn proxy(&self) -> (String, Proxy) {
        let (server, database) = self.url.as_deref().unwrap().rsplit_once('/').unwrap();
        let (user, address) = server.rsplit_once('@').unwrap();
        let proxy = Proxy::start(address.parse().unwrap());
        (format!("{user}@{}/{database}", proxy.addr()), proxy)
    }

    pub(crate) fn at(url: impl Into<String>) -> Self {
        Self {
            on: On::Postgres,
            dir: tempfile::tempdir().unwrap(),
            _database: None,
            url: Some(url.into()),
        }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn root_key_file(&self) -> PathBuf {
        self.data_dir().join("root-key")
    }

    /// The token made by the first `dev` on this store.
    pub(crate) fn root_token(&self) -> String {
        std::fs::read_to_string(self.data_dir().join("root-token"))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// `dev` on this store, with more settings as `NAME`, `value` pairs of the environment.
    pub(crate) fn dev(&self, settings: &[(&str, &str)]) -> Server {
        self.dev_of(Path::new(PROGRAM), settings)
    }

    pub(crate) fn dev_of(&self, program: &Path, settings: &[(&str, &str)]) -> Server {
        let port = own_port();
        let data = self.data_dir();
        let listen = format!("127.0.0.1:{port}");
        let args = ["dev", "--data-dir", data.to_str().unwrap(), "--listen", &listen];
        let mut environment = settings.to_vec();
        if let Some(url) = &self.url {
            environment.push(("STRONGROOM_DATABASE_URL", url));
        }
        Server::start_of(program, &args, &environment, port, self.dir.path())
    }

    /// A `server` node, beside others on a PostgreSQL that a `dev` has initialised.
    pub(crate) fn node(&self, name: &str, settings: &[(&str, &str)]) -> Server {
        let port = own_port();
        let listen = format!("127.0.0.1:{port}");
        let key = self.root_key_file();
        let mut environment = vec![
            ("STRONGROOM_DATABASE_URL", self.url.as_deref().unwrap()),
            ("STRONGROOM_ROOT_KEY_FILE", key.to_str().unwrap()),
            ("STRONGROOM_LISTEN", &listen),
            ("STRONGROOM_NODE", name),
            ("STRONGROOM_ISSUER", "http://strongroom.test"),
        ];
        environment.extend_from_slice(settings);
        Server::start(&["server"], &environment, port, self.dir.path())
    }
}

pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    pub(crate) log: PathBuf,
}

/// A port below those that outgoing connections take, and none twice in this process.
pub(crate) fn own_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() % 17 * 1000;
    loop {
        let port = 10_000 + (u16::try_from(start).unwrap() + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Tests ask from one address for what is refused, and more often than anybody else does.
const UNLIMITED: [(&str, &str); 3] = [
    ("STRONGROOM_LIMITS_FAILED_PER_SOURCE_PER_MINUTE", "0"),
    ("STRONGROOM_LIMITS_EXEMPT_PER_SOURCE_PER_MINUTE", "0"),
    ("STRONGROOM_LIMITS_LOGIN_DELAY", "0"),
];

pub(crate) fn command(args: &[&str], environment: &[(&str, &str)]) -> Command {
    command_of(Path::new(PROGRAM), args, environment)
}

fn command_of(program: &Path, args: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    // Never read: it is usually somebody else's.
    command.env(concat!("DATABASE", "_URL"), "postgres://nobody@127.0.0.1:1/nothing");
    command.envs(UNLIMITED);
    command.envs(environment.iter().copied());
    command
}

/// The program as another user: for whoever may become one.
pub(crate) fn other_user(args: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", PROGRAM])
        .args(args)
        .env_clear();
    command
}

/// Runs the program to its end: exit code, standard output, standard error.
pub(crate) fn run(args: &[&str], environment: &[(&str, &str)], stdin: &[u8]) -> (i32, Vec<u8>, String) {
    run_of(Path::new(PROGRAM), args, environment, stdin)
}

pub(crate) fn run_of(
    program: &Path,
    args: &[&str],
    environment: &[(&str, &str)],
    stdin: &[u8],
) -> (i32, Vec<u8>, String) {
    use std::io::Write;
    let mut child = command_of(program, args, environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    (
        output.status.code().unwrap_or(-1),
        output.stdout,
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

impl Server {
    pub(crate) fn start(args: &[&str], environment: &[(&str, &str)], port: u16, logs: &Path) -> Self {
        Self::start_of(Path::new(PROGRAM), args, environment, port, logs)
    }

    pub(crate) fn start_of(
        program: &Path,
        args: &[&str],
        environment: &[(&str, &str)],
        port: u16,
        logs: &Path,
    ) -> Self {
        let log = logs.join(format!("log-{port}"));
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = command_of(program, args, environment)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut server = Self { child, port, log };
        server.wait_until_ready();
        server
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!(
                    "the server ended with {status}: {}",
                    std::fs::read_to_string(&self.log).unwrap()
                );
            }
            // Its own word: somebody else may answer on the port while it still starts.
            let log = self.log_text();
            if log.contains("Strongroom is ready on") || log.contains("\"serving\"") {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "not ready: {}",
                std::fs::read_to_string(&self.log).unwrap()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address())
    }

    pub(crate) fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    fn signal(&self, name: &str) {
        let done = Command::new("kill")
            .args([name, &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(done.success());
    }

    pub(crate) fn kill9(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and wait for the end.
    pub(crate) fn terminate(mut self) -> std::process::ExitStatus {
        self.signal("-TERM");
        self.child.wait().unwrap()
    }

    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client of the API that keeps its connections.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) http: reqwest::Client,
    pub(crate) address: String,
    pub(crate) token: Option<String>,
}

fn client(headers: HeaderMap) -> reqwest::Client {
    let client = reqwest::Client::builder().default_headers(headers).no_proxy();
    client.timeout(Duration::from_secs(15)).build().unwrap()
}

impl Api {
    pub(crate) fn new(server: &Server, token: impl Into<String>) -> Self {
        Self {
            http: client(HeaderMap::new()),
            address: server.address(),
            token: Some(token.into()),
        }
    }

    /// The same server, as in a namespace that each request names.
    pub(crate) fn within(&self, namespace: &str, token: impl Into<String>) -> Self {
        let name = ("x-strongroom-namespace".parse().unwrap(), namespace.parse().unwrap());
        Self {
            http: client(HeaderMap::from_iter([name])),
            ..self.with_token(token)
        }
    }

    /// Types a command for this server with this token: its exit code and all that it says.
    pub(crate) fn typed(&self, command: &[&str]) -> (i32, String) {
        let environment = [
            ("STRONGROOM_ADDR", self.address.as_str()),
            ("STRONGROOM_TOKEN", self.token.as_deref().unwrap()),
        ];
        let (code, shown, told) = run(command, &environment, b"");
        (code, String::from_utf8(shown).unwrap() + &told)
    }

    /// The same on another server.
    pub(crate) fn at(&self, server: &Server) -> Self {
        Self {
            address: server.address(),
            ..self.clone()
        }
    }

    pub(crate) fn with_token(&self, token: impl Into<String>) -> Self {
        Self {
            token: Some(token.into()),
            ..self.clone()
        }
    }

    /// `path` behind `/api/v1/`. Status and JSON (null when there is none); an error when no answer came.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<(u16, Value), reqwest::Error> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}/api/v1/{path}", self.address));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.call("GET", path, None).await.unwrap()
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        self.call("PUT", path, Some(body)).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call("POST", path, Some(body)).await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        self.call("DELETE", path, None).await.unwrap()
    }

    /// A client of a role with one policy, and an access token of it.
    pub(crate) async fn workload(&self, name: &str, rules: Value) -> String {
        let login = self.workload_login(name, rules).await;
        let (status, token) = self.post("auth/client/login", login).await;
        assert_eq!(status, 200, "{token}");
        token["access_token"].as_str().unwrap().to_owned()
    }

    /// The same, up to the body of its login.
    pub(crate) async fn workload_login(&self, name: &str, rules: Value) -> Value {
        let (status, answer) = self
            .put(&format!("policies/{name}"), serde_json::json!({ "rules": rules }))
            .await;
        assert_eq!(status, 200, "{answer}");
        let role = serde_json::json!({ "policies": [name], "access_token_ttl": 3600 });
        let (status, answer) = self.put(&format!("roles/{name}"), role).await;
        assert_eq!(status, 200, "{answer}");
        let (status, client) = self
            .post("clients", serde_json::json!({ "name": name, "role": name }))
            .await;
        assert_eq!(status, 201, "{client}");
        serde_json::json!({ "client_id": client["client_id"], "client_secret": client["client_secret"] })
    }
}

/// One test on each store.
macro_rules! on_both_stores {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name($crate::harness::On::Sqlite).await; })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name($crate::harness::On::Postgres).await; })*
        }
    };
}
