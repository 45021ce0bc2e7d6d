use std::path::Path;
use std::process::Command;

use crate::daemon::{Daemon, program};

const PACKAGE: &str = "redis-server";

/// A throw-away Redis on a free port of 127.0.0.1, whose user `default` needs no password and may do everything.
#[derive(Debug)]
pub struct Redis {
    daemon: Daemon,
}

impl Redis {
    /// None where it is not installed. With options as on its command line, for example `--aclfile`, `users.acl`; files lie in
    /// its folder.
    pub fn start(settings: &[&str]) -> Option<Self> {
        let mut daemon = Daemon::new(program("redis-server", PACKAGE)?, settings);
        // A file of users has to be there, and a file of options to be written to.
        for name in ["users.acl", "redis.conf"] {
            daemon.run(Command::new("touch").arg(name));
        }
        daemon.launch(arguments);
        Some(Self { daemon })
    }

    pub fn port(&self) -> u16 {
        self.daemon.port()
    }

    /// Where files that options name lie.
    pub fn folder(&self) -> &Path {
        self.daemon.folder()
    }

    /// Runs one command as `default` and returns what `redis-cli` prints.
    pub fn run(&self, arguments: &[&str]) -> String {
        let mut client = Command::new("redis-cli");
        client.args(["-e", "-p", &self.port().to_string()]).args(arguments);
        let output = self.daemon.run(&mut client);
        String::from_utf8_lossy(&output.stdout)
            .trim_end_matches('\n')
            .to_owned()
    }

    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// Kills the server as a crash would.
    pub fn kill9(&mut self) {
        self.daemon.kill9();
    }

    /// Starts it again on the same files, and on the same port where nobody took that.
    pub fn restart(&mut self) {
        self.restart_with(&[]);
    }

    /// With further options from now on.
    pub fn restart_with(&mut self, settings: &[&str]) {
        self.daemon.settle(settings);
        self.daemon.launch(arguments);
    }
}

fn arguments(folder: &Path, port: u16) -> Vec<String> {
    let mut arguments = vec![folder.join("redis.conf").display().to_string()];
    let port = port.to_string();
    for [name, value] in [
        ["--port", &port],
        ["--bind", "127.0.0.1"],
        ["--save", ""],
        ["--appendonly", "no"],
    ] {
        arguments.extend([name.to_owned(), value.to_owned()]);
    }
    arguments
}
