//! The file in which `login` keeps its token, for its owner alone: the token, and the server that it is for.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::files;

pub(super) struct LoginFile(PathBuf);

impl LoginFile {
    /// In the user's directory of configurations.
    pub(super) fn within(configurations: &Path) -> Self {
        Self(configurations.join("strongroom").join("token"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The token, if there is one for this server: it goes to no other.
    pub(super) fn read(&self, addr: &str) -> Result<Option<SecretString>, Failure> {
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
        let (token, kept_for) = text.split_once('\n').unwrap_or((&text, ""));
        if kept_for != plain(addr) {
            let addr = plain(addr);
            return Err(
                Failure::usage(format!("The login is for '{kept_for}', and not for '{addr}'."))
                    .help("Log in there with 'strongroom login', or name the other with --addr or STRONGROOM_ADDR."),
            );
        }
        Ok(Some(token.into()))
    }

    /// In the place of an earlier one, at once.
    pub(super) fn write(&self, token: &SecretString, addr: &str) -> Result<(), Failure> {
        let text = Zeroizing::new(format!("{}\n{}", token.expose_secret(), plain(addr)));
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
        for token in ["first", "second"] {
            file.write(&token.into(), &format!("{ADDR}/")).unwrap();
            assert_eq!(file.read(ADDR).unwrap().unwrap().expose_secret(), token);
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let folder = file.path().parent().unwrap();
        assert_eq!((mode(folder), mode(file.path())), (0o700, 0o600));
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "nothing is left beside it");
        assert!(file.read("http://127.0.0.1:8201").is_err());
        fs::set_permissions(file.path(), Permissions::from_mode(0o640)).unwrap();
        assert!(file.read(ADDR).is_err());
        file.write(&"third".into(), ADDR).unwrap();
        assert_eq!(mode(file.path()), 0o600);
        assert!(file.remove().unwrap() && file.read(ADDR).unwrap().is_none());
    }
}
