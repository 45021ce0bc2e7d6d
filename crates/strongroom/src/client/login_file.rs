//! The file in which `login` keeps its token, for its owner alone: the token, the server that it is for, and when it is
//! to be renewed.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use strongroom_domain::Time;
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::files;

pub(super) struct LoginFile(PathBuf);

pub(super) struct Kept {
    pub(super) token: SecretString,
    /// None: it is used until it ends.
    pub(super) renew_at: Option<Time>,
}

impl LoginFile {
    /// In the user's directory of configurations.
    pub(super) fn within(configurations: &Path) -> Self {
        Self(configurations.join("strongroom").join("token"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The token, if there is one for this server: it goes to no other.
    pub(super) fn read(&self, addr: &str) -> Result<Option<Kept>, Failure> {
        let failed = |error: &io::Error| Failure::local(&format!("Cannot read {}", self.0.display()), error);
        match fs::metadata(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error)),
            Ok(found) if found.permissions().mode() & 0o077 != 0 => {
                let path = self.0.display();
                return Err(
                    Failure::usage(format!("Others can read {path}, and so the token in it."))
                        .help("Run 'strongroom logout' and 'strongroom login'."),
                );
            }
            Ok(_) => {}
        }
        let text = files::read_secret(&self.0).map_err(|error| failed(&error))?;
        let mut lines = text.split('\n');
        let mut line = || lines.next().unwrap_or_default();
        let (token, kept_for, renew_at) = (line(), line(), line());
        if kept_for != plain(addr) {
            let addr = plain(addr);
            return Err(
                Failure::usage(format!("The login is for '{kept_for}', and not for '{addr}'."))
                    .help("Log in there with 'strongroom login', or name the other with --addr or STRONGROOM_ADDR."),
            );
        }
        Ok(Some(Kept {
            token: token.into(),
            renew_at: Time::parse(renew_at),
        }))
    }

    /// In the place of an earlier one, at once.
    pub(super) fn write(&self, kept: &Kept, addr: &str) -> Result<(), Failure> {
        let renew_at = kept.renew_at.map_or_else(String::new, |at| at.to_string());
        let token = kept.token.expose_secret();
        let text = Zeroizing::new(format!("{token}\n{}\n{renew_at}", plain(addr)));
        let folder = self.0.parent().unwrap_or(Path::new("."));
        let new = self.0.with_extension(std::process::id().to_string());
        let written = files::make_directory(folder)
            .and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o700)))
            .and_then(|()| files::write_new(&new, &text))
            .and_then(|()| fs::rename(&new, &self.0));
        written.map_err(|error| {
            drop(fs::remove_file(&new));
            Failure::local(&format!("Cannot write {}", self.0.display()), &error)
        })
    }

    /// Whether there was one.
    pub(super) fn remove(&self) -> Result<bool, Failure> {
        match fs::remove_file(&self.0) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Failure::local(&format!("Cannot remove {}", self.0.display()), &error)),
        }
    }
}

fn plain(addr: &str) -> &str {
    addr.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDR: &str = "http://127.0.0.1:8200";

    #[test]
    fn it_is_private_replaced_and_for_one_server() {
        let home = tempfile::tempdir().unwrap();
        let file = LoginFile::within(home.path());
        assert!(file.read(ADDR).unwrap().is_none() && !file.remove().unwrap());
        let kept = |token: &str, renew_at| Kept {
            token: token.into(),
            renew_at,
        };
        for (token, renew_at) in [("first", None), ("second", Some(Time(1_000_000)))] {
            file.write(&kept(token, renew_at), &format!("{ADDR}/")).unwrap();
            let read = file.read(ADDR).unwrap().unwrap();
            assert_eq!((read.token.expose_secret(), read.renew_at), (token, renew_at));
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let folder = file.path().parent().unwrap();
        assert_eq!((mode(folder), mode(file.path())), (0o700, 0o600));
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "nothing is left beside it");
        assert!(file.read("http://127.0.0.1:8201").is_err());
        fs::set_permissions(file.path(), Permissions::from_mode(0o640)).unwrap();
        assert!(file.read(ADDR).is_err());
        file.write(&kept("third", None), ADDR).unwrap();
        assert_eq!(mode(file.path()), 0o600);
        assert!(file.remove().unwrap() && file.read(ADDR).unwrap().is_none());
    }
}
