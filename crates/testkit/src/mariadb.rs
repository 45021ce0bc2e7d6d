use std::path::Path;
use std::process::Command;

use crate::daemon::{Daemon, program};

const PACKAGE: &str = "mariadb-server";

/// A throw-away MariaDB on a free port of 127.0.0.1, user `root`, no password.
#[derive(Debug)]
pub struct MariaDb {
    daemon: Daemon,
}

impl MariaDb {
    /// None where it is not installed. With options as on its command line, for example `--general-log=1`.
    pub fn start(settings: &[&str]) -> Option<Self> {
        let install = program("mariadb-install-db", PACKAGE)?;
        let mut daemon = Daemon::new(program("mariadbd", PACKAGE)?, settings);
        let mut install = Command::new(install);
        install.args([
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        ]);
        install.arg(format!("--datadir={}", data(daemon.folder())));
        install.arg(format!("--tmpdir={}", daemon.folder().display()));
        daemon.run(&mut install);
        daemon.launch(arguments);
        Some(Self { daemon })
    }

    pub fn port(&self) -> u16 {
        self.daemon.port()
    }

    /// Where files that options name may lie.
    pub fn data_dir(&self) -> std::path::PathBuf {
        data(self.daemon.folder()).into()
    }

    /// Runs SQL as `root` and returns its rows as lines, columns separated by tabs.
    pub fn sql(&self, sql: &str) -> String {
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "--host=127.0.0.1", "--user=root", "--batch", "--raw"]);
        client.args(["--skip-column-names", "--default-character-set=utf8mb4"]);
        client
            .arg(format!("--port={}", self.port()))
            .arg(format!("--execute={sql}"));
        let output = self.daemon.run(&mut client);
        String::from_utf8_lossy(&output.stdout)
            .trim_end_matches('\n')
            .to_owned()
    }

    /// What it said, and every statement where the general log is on.
    pub fn log(&self) -> String {
        let statements = std::fs::read(self.data_dir().join("general.log")).unwrap_or_default();
        self.daemon.log() + &String::from_utf8_lossy(&statements)
    }

    /// Kills the server as a crash would.
    pub fn kill9(&mut self) {
        self.daemon.kill9();
    }

    /// Starts it again on the same data, and on the same port where nobody took that.
    pub fn restart(&mut self) {
        self.restart_with(&[]);
    }

    /// With further options from now on.
    pub fn restart_with(&mut self, settings: &[&str]) {
        self.daemon.settle(settings);
        self.daemon.launch(arguments);
    }
}

fn data(folder: &Path) -> String {
    folder.join("data").display().to_string()
}

fn arguments(folder: &Path, port: u16) -> Vec<String> {
    let within = |name: &str| folder.join(name).display().to_string();
    vec![
        "--no-defaults".into(),
        format!("--datadir={}", data(folder)),
        format!("--tmpdir={}", folder.display()),
        format!("--port={port}"),
        "--bind-address=127.0.0.1".into(),
        format!("--socket={}", within("socket")),
        format!("--pid-file={}", within("pid")),
        "--general-log-file=general.log".into(),
        "--skip-name-resolve".into(),
        // A test's server is small, and nobody else's.
        "--innodb-buffer-pool-size=16M".into(),
    ]
}
