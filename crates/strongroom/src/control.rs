//! The control socket: a server's second door, for this machine's operator alone. Who may is decided by the kernel: the
//! socket's mode, and that the peer's user is ours or root.

use std::future::{Ready, ready};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::geteuid;
use strongroom_http::{Listener, Peer};
use tokio::net::{UnixListener, UnixStream};

const NAME: &str = "control.sock";

/// Where the server that has this data directory listens.
pub(crate) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(NAME)
}

#[derive(Debug)]
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// In a directory that is ours, whose lock is held: a socket that is there was left by a server that is gone.
    pub(crate) fn bind(directory: &Path) -> Result<Self, String> {
        let path = path(directory);
        let failed = |error: io::Error| format!("The control socket {} cannot be made: {error}.", path.display());
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, path })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Listener for Control {
    type Stream = UnixStream;
    type Opening = Ready<io::Result<(UnixStream, Peer)>>;

    async fn accept(&self) -> io::Result<Self::Opening> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let user = stream.peer_cred()?.uid();
            // Root may do what it likes on this machine anyway, and is who maintains it.
            if user == geteuid().as_raw() || user == 0 {
                let name: Arc<str> = "control socket".into();
                let peer = Peer {
                    name,
                    address: None,
                    operator: true,
                    certificate: None,
                };
                return Ok(ready(Ok((stream, peer))));
            }
            tracing::warn!("another user tried the control socket");
        }
    }
}
