//! Other servers than PostgreSQL, for tests: from Debian's packages, each in a folder of its own on a port of 127.0.0.1. The
//! folder goes with the value, and the process that was started is the one that is killed.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::binaries::RunAs;
use crate::free_port;

const PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);

/// A program of a package; none where it is not installed, which is told past what a test's output is kept back for. Whoever
/// asks for all tests (`STRONGROOM_TEST_ALL`) gets no such excuse.
pub(crate) fn program(name: &str, package: &str) -> Option<PathBuf> {
    let found = find(name);
    if found.is_none() {
        let lack = format!("{name} is not installed; Debian's package is `{package}`");
        assert!(std::env::var_os("STRONGROOM_TEST_ALL").is_none(), "{lack}");
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        let line = format!("NOT RUN {test}: {lack}\n");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
    }
    found
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian's servers lie where only root's PATH leads.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

#[derive(Debug)]
pub(crate) struct Daemon {
    folder: TempDir,
    run_as: RunAs,
    program: PathBuf,
    port: u16,
    settings: Vec<String>,
    child: Option<Child>,
}

impl Daemon {
    /// One whose folder is made, and that has not started.
    pub(crate) fn new(program: PathBuf, settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("strongroom-daemon-")
            .tempdir()
            .expect("a temporary folder");
        let run_as = RunAs::not_root();
        run_as.own(folder.path());
        let mut daemon = Self {
            folder,
            run_as,
            program,
            port: free_port(),
            settings: Vec::new(),
            child: None,
        };
        daemon.settle(settings);
        daemon
    }

    /// Options for every start from the next on.
    pub(crate) fn settle(&mut self, settings: &[&str]) {
        self.settings.extend(settings.iter().map(|&setting| setting.to_owned()));
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// As the user whom the server runs as.
    pub(crate) fn run(&self, command: &mut Command) -> Output {
        command.current_dir(self.folder()).stdin(Stdio::null());
        let output = self.run_as.apply(command).output().expect("a program runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {said}");
        output
    }

    /// With these arguments before the settings. Another process may take the port between finding and using it.
    pub(crate) fn launch(&mut self, arguments: impl Fn(&Path, u16) -> Vec<String>) {
        assert!(self.child.is_none(), "the server is running");
        for _ in 0..5 {
            if self.try_launch(&arguments(self.folder(), self.port)) {
                return;
            }
            self.port = free_port();
        }
        panic!("{} does not start:\n{}", self.program.display(), self.log());
    }

    fn try_launch(&mut self, arguments: &[String]) -> bool {
        let log = File::options().create(true).append(true).open(self.log_file());
        let log = log.expect("the log file");
        let mut server = Command::new(&self.program);
        server.args(arguments).args(&self.settings).current_dir(self.folder());
        server
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("the log file"));
        server.stdout(log);
        let mut child = self.run_as.apply(&mut server).spawn().expect("the server starts");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if child.try_wait().expect("the state of the server").is_some() {
                return false;
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                self.child = Some(child);
                return true;
            }
            assert!(Instant::now() < deadline, "not up within {PATIENCE:?}:\n{}", self.log());
            sleep(POLL);
        }
    }

    /// Kills the server as a crash would, and waits until it is gone.
    pub(crate) fn kill9(&mut self) {
        let mut child = self.child.take().expect("a running server");
        // One that has already ended is as good as killed.
        let _ = child.kill();
        child.wait().expect("the end of the server");
    }

    /// What the server said, over all its starts.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    fn log_file(&self) -> PathBuf {
        self.folder().join("log")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Nothing here is kept.
        if self.child.is_some() {
            self.kill9();
        }
    }
}
