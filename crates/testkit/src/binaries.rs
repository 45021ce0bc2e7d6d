//! Where PostgreSQL's programs are, and how to run them as somebody whom PostgreSQL accepts.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of PostgreSQL's server programs: from `PATH`, or the newest that Debian's packages installed.
fn server_folder() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).find(|folder| is_server_folder(folder));
    on_path.or_else(|| {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
        let folders = versions
            .map(|version| version.path().join("bin"))
            .filter(|folder| is_server_folder(folder));
        folders.max_by_key(|folder| version(folder))
    })
}

fn is_server_folder(folder: &Path) -> bool {
    folder.join("initdb").is_file() && folder.join("postgres").is_file()
}

/// `/usr/lib/postgresql/15/bin` is 15.
fn version(folder: &Path) -> Option<u32> {
    folder.parent()?.file_name()?.to_str()?.parse().ok()
}

/// One of PostgreSQL's programs. psql comes from the server's folder where it can: Debian's `/usr/bin/psql` is a slow
/// wrapper around the same.
pub(crate) fn command(program: &str) -> Command {
    let found = server_folder()
        .map(|folder| folder.join(program))
        .filter(|path| path.is_file());
    match found {
        Some(path) => Command::new(path),
        None if program == "psql" => Command::new(program),
        None => panic!(
            "PostgreSQL's {program} is neither on PATH nor in /usr/lib/postgresql; install Debian's `postgresql`"
        ),
    }
}

/// A user to run the server as. PostgreSQL refuses root, and anyone else stays who they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunAs(Option<(u32, u32)>);

impl RunAs {
    pub(crate) fn not_root() -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self(None);
        }
        let users = std::fs::read_to_string("/etc/passwd").expect("the list of users");
        let found = user_in(&users, "postgres").or_else(|| user_in(&users, "nobody"));
        Self(Some(found.expect(
            "a user `postgres` or `nobody`, because PostgreSQL does not run as root",
        )))
    }

    pub(crate) fn own(self, folder: &Path) {
        if let Self(Some((user, group))) = self {
            chown(folder, Some(user), Some(group)).expect("the folder of the cluster changes its owner");
        }
    }

    /// Also drops root's further groups: the standard library does that for every change of user.
    pub(crate) fn apply(self, command: &mut Command) -> &mut Command {
        if let Self(Some((user, group))) = self {
            command.uid(user).gid(group);
        }
        command
    }
}

/// User and group of a name, from lines as in `/etc/passwd`.
fn user_in(users: &str, name: &str) -> Option<(u32, u32)> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let user = (fields.next()? == name).then(|| fields.nth(1))??.parse().ok()?;
        Some((user, fields.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\nnobody2:x:9:9::/:\nnobody:x:65534:65533:nobody:/:/none\n";
        assert_eq!(user_in(users, "nobody"), Some((65534, 65533)));
        assert_eq!(user_in(users, "postgres"), None);
    }

    #[test]
    fn versions_compare_as_numbers() {
        let folder = |name: &str| PathBuf::from(format!("/usr/lib/postgresql/{name}/bin"));
        assert!(version(&folder("15")) > version(&folder("9")));
    }
}
