//! A folder in memory with one secret's plaintext, for an editor: nobody else can enter it, and it goes when dropped.

use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::failure::Failure;
use super::input::{self, Bytes};

pub(super) struct Scratch {
    folder: TempDir,
    file: PathBuf,
}

impl Scratch {
    /// Below `parent`, with this in a file of that name.
    pub(super) fn new(parent: &Path, name: &str, content: &[u8]) -> Result<Self, Failure> {
        let failed = |error| Failure::local(&format!("Cannot keep plaintext in {}", parent.display()), &error);
        let folder = tempfile::Builder::new()
            .prefix("strongroom-edit-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(|error| {
                failed(error)
                    .help("'--scratch FOLDER' names another folder. If that is on a disk, the plaintext is too.")
            })?;
        let file = folder.path().join(name);
        let mut opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&file)
            .map_err(failed)?;
        opened.write_all(content).map_err(failed)?;
        Ok(Self { folder, file })
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn read(&self) -> Result<Bytes, Failure> {
        input::file(&self.file)
    }

    /// Leaves `content` in the file instead of removing the folder, and says where.
    pub(super) fn keep(self, content: &[u8]) -> Result<PathBuf, Failure> {
        std::fs::write(&self.file, content).map_err(|error| Failure::local("Cannot keep what was written", &error))?;
        let _ = self.folder.keep();
        Ok(self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_private_and_gone_unless_kept() {
        let parent = std::env::temp_dir();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let scratch = Scratch::new(&parent, "value", b"s").unwrap();
        let folder = scratch.folder.path().to_owned();
        assert_eq!((mode(&folder), mode(scratch.file())), (0o700, 0o600));
        assert_eq!(&**scratch.read().unwrap(), b"s");
        // An editor leaves files beside it.
        std::fs::write(folder.join("value~"), "s").unwrap();
        drop(scratch);
        assert!(!folder.exists());

        let kept = Scratch::new(&parent, "value", b"s").unwrap().keep(b"t").unwrap();
        assert_eq!(std::fs::read(&kept).unwrap(), b"t");
        std::fs::remove_dir_all(kept.parent().unwrap()).unwrap();
    }

    #[test]
    fn no_other_folder_is_taken_instead() {
        let refused = Scratch::new(Path::new("/nonexistent"), "value", b"s").err().unwrap();
        let text = format!("{refused:?}");
        assert!(text.contains("/nonexistent") && text.contains("--scratch"), "{text}");
    }
}
