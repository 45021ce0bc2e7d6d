//! Files that hold secrets: made by us alone, readable by us alone.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt as _, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::geteuid;
use zeroize::Zeroizing;

/// Larger files are no secret of ours.
const MAX_BYTES: u64 = 64 * 1024;

/// Writes a new file with mode 0600 and makes it durable; one that is there is never touched.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    // The name too must survive a crash.
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => File::open(directory)?.sync_all(),
        _ => Ok(()),
    }
}

/// Whether [`write_new`] could, before there is something to lose.
pub(crate) fn check_new(path: &Path) -> Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    std::fs::remove_file(path)
}

/// Reads a secret's text without the white space around it.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<String>> {
    read_all(File::open(path)?)
}

fn read_all(file: File) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES).read_to_string(&mut text)?;
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(Error::new(ErrorKind::InvalidData, "the file is empty"));
    }
    Ok(Zeroizing::new(trimmed.to_owned()))
}

/// Reads a secret that we wrote earlier: somebody else's file in that place is refused, whatever it holds.
pub(crate) fn read_own(path: &Path) -> Result<Zeroizing<String>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    let found = file.metadata()?;
    let for_others = found.mode() & 0o077;
    let ours = found.is_file() && found.uid() == geteuid().as_raw() && for_others == 0;
    if !ours {
        return Err(Error::new(
            ErrorKind::PermissionDenied,
            "it is not a file of ours that others cannot touch",
        ));
    }
    read_all(file)
}

/// A directory that only we can enter.
pub(crate) fn make_directory(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
