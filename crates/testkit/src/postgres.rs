//! PostgreSQL for tests: a cluster of one's own that can be killed, or a database in the cluster of the test run.

use crate::binaries::{RunAs, command};
use crate::free_port;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Crash recovery and `initdb` on a slow disk fit; a server that takes longer than this is not coming.
const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);

/// A throw-away PostgreSQL cluster on a free port of 127.0.0.1, user `postgres`, no password. It is durable (`fsync` on), so
/// that what was acknowledged before [`Cluster::kill9`] has to be there after [`Cluster::restart`]. Linux only: the
/// processes to kill are found in `/proc`.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    run_as: RunAs,
    port: u16,
    settings: Vec<(String, String)>,
    postmaster: Option<Child>,
}

impl Cluster {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With settings as in `postgresql.conf`, for example `("log_statement", "all")`.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_letting_in(settings, None)
    }

    /// One that asks everybody but `postgres` for a password.
    pub fn start_with_passwords(settings: &[(&str, &str)]) -> Self {
        let who = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        Self::start_letting_in(settings, Some(who))
    }

    /// `who`: lines of `pg_hba.conf`; none: everybody.
    fn start_letting_in(settings: &[(&str, &str)], who: Option<&str>) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("strongroom-pg-")
            .tempdir()
            .expect("a temporary folder");
        let run_as = RunAs::not_root();
        run_as.own(folder.path());
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut cluster = Self {
            folder,
            run_as,
            port: free_port(),
            settings,
            postmaster: None,
        };
        cluster.init();
        if let Some(who) = who {
            fs::write(cluster.data_dir().join("pg_hba.conf"), who).expect("who is let in");
        }
        // Another process may take the port between finding and using it.
        for _ in 0..5 {
            if cluster.try_launch() {
                return cluster;
            }
            cluster.port = free_port();
        }
        panic!("PostgreSQL does not start:\n{}", cluster.log());
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database and returns its URL.
    pub fn create_database(&self, name: &str) -> String {
        run_sql(
            &self.url("postgres"),
            &format!("CREATE DATABASE \"{name}\" TEMPLATE template0"),
        );
        self.url(name)
    }

    /// Kills the server and all its processes at once, as a crash of the machine would, and waits until they are gone.
    pub fn kill9(&mut self) {
        let mut postmaster = self.postmaster.take().expect("a running cluster");
        // Stopped, it can start no further process that the list would miss.
        signal(postmaster.id(), Signal::STOP);
        let children = children(postmaster.id());
        signal(postmaster.id(), Signal::KILL);
        for &child in &children {
            signal(child, Signal::KILL);
        }
        postmaster.wait().expect("the end of the server");
        wait_until("the server's processes end", || {
            children.iter().all(|&child| has_ended(child))
        });
    }

    /// Starts the server again on the same port and data, and waits until it accepts connections.
    pub fn restart(&mut self) {
        assert!(self.postmaster.is_none(), "the cluster is running");
        assert!(self.try_launch(), "PostgreSQL does not start again:\n{}", self.log());
    }

    /// The process id of the server's first process.
    pub fn pid(&self) -> u32 {
        self.postmaster.as_ref().expect("a running cluster").id()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Everything the server has logged, over all its starts.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn init(&self) {
        let mut initdb = command("initdb");
        // Only the fresh folder is left unsynced; the server syncs what is written later.
        initdb.args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        initdb
            .arg("--pgdata")
            .arg(self.data_dir())
            .current_dir(self.folder.path());
        let output = self.run_as.apply(&mut initdb).output().expect("initdb runs");
        assert!(
            output.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Starts the server and waits until it accepts connections; false where it ends instead.
    fn try_launch(&mut self) -> bool {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .expect("the log file");
        let mut server = command("postgres");
        server
            .arg("-D")
            .arg(self.data_dir())
            .args(["-p", &self.port.to_string()]);
        server.args(["-c", "listen_addresses=127.0.0.1"]);
        server
            .arg("-c")
            .arg(format!("unix_socket_directories={}", self.data_dir().display()));
        // Shared memory in the data folder is removed with it, however the server ended.
        server.args(["-c", "dynamic_shared_memory_type=mmap"]);
        for (name, value) in &self.settings {
            server.arg("-c").arg(format!("{name}={value}"));
        }
        server
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log file"))
            .stderr(log);
        server.current_dir(self.folder.path());
        let mut postmaster = self.run_as.apply(&mut server).spawn().expect("the server starts");

        let mut ended = false;
        wait_until("PostgreSQL accepts connections", || {
            ended = postmaster.try_wait().expect("the state of the server").is_some();
            ended || self.is_ready(postmaster.id())
        });
        self.postmaster = (!ended).then_some(postmaster);
        !ended
    }

    /// What `pg_ctl --wait` looks at: the pid file's first line is the server that wrote it, its eighth the state.
    fn is_ready(&self, pid: u32) -> bool {
        let text = fs::read_to_string(self.data_dir().join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines().map(str::trim);
        lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(mut postmaster) = self.postmaster.take() else {
            return;
        };
        // SIGQUIT is PostgreSQL's immediate shutdown: nothing here is kept.
        signal(postmaster.id(), Signal::QUIT);
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if !matches!(postmaster.try_wait(), Ok(None)) {
                return;
            }
            sleep(POLL);
        }
        self.postmaster = Some(postmaster);
        self.kill9();
    }
}

/// An empty database for one test, in the cluster that `STRONGROOM_TEST_POSTGRES_URL` names; dropped with this value.
#[derive(Debug)]
pub struct Database {
    maintenance_url: String,
    name: String,
    url: String,
}

impl Database {
    pub fn fresh() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let Ok(maintenance_url) = std::env::var("STRONGROOM_TEST_POSTGRES_URL") else {
            panic!("STRONGROOM_TEST_POSTGRES_URL is unset; run scripts/test.sh, which starts a throw-away PostgreSQL");
        };
        let (server, _) = maintenance_url
            .rsplit_once('/')
            .expect("STRONGROOM_TEST_POSTGRES_URL ends in /<database>");
        let name = format!(
            "test_{}_{}",
            std::process::id(),
            COUNTER.fetch_add(1, Ordering::Relaxed)
        );
        let url = format!("{server}/{name}");
        // A cluster that outlives its runs may hold one that a killed run of the same process id left behind.
        run_sql(
            &maintenance_url,
            &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        );
        run_sql(&maintenance_url, &format!("CREATE DATABASE {name} TEMPLATE template0"));
        Self {
            maintenance_url,
            name,
            url,
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A second panic while a test fails would hide the first; the database goes with the cluster anyway.
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let _ = psql(&self.maintenance_url, &statement).output();
    }
}

/// Runs SQL by psql and returns its rows as lines, columns separated by `|`.
pub fn run_sql(url: &str, sql: &str) -> String {
    let output = psql(url, sql).output().expect("psql runs");
    assert!(
        output.status.success(),
        "psql: {}\n{sql}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn psql(url: &str, sql: &str) -> Command {
    let mut psql = command("psql");
    psql.args([
        "--no-psqlrc",
        "--quiet",
        "--no-align",
        "--tuples-only",
        "--set=ON_ERROR_STOP=1",
    ]);
    psql.env("PGOPTIONS", "--client-min-messages=warning")
        .args(["--dbname", url, "--command", sql]);
    psql
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
    // A process that has already ended is as good as signalled.
    let _ = kill_process(pid, signal);
}

/// The processes whose parent is `pid`.
fn children(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|&id| state_and_parent(id).is_some_and(|(_, parent)| parent == pid))
        .collect()
}

/// Whether a process runs no more. In a container whose first process reaps nothing, its entry stays as a zombie.
fn has_ended(pid: u32) -> bool {
    state_and_parent(pid).is_none_or(|(state, _)| state == 'Z')
}

fn state_and_parent(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold spaces; after it come the state and the parent.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        sleep(POLL);
    }
}
