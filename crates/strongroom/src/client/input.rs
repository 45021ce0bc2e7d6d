//! Bytes from a file or from stdin, exactly as they are, wiped when dropped.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::failure::Failure;

/// More than any server takes: beyond it, reading on would only waste memory.
const MAX: u64 = 4 << 20;

pub(super) type Bytes = Zeroizing<Vec<u8>>;

pub(super) fn file(path: &Path) -> Result<Bytes, Failure> {
    let name = path.display();
    let file = File::open(path).map_err(|error| Failure::local(&format!("Cannot open {name}"), &error))?;
    all(file, &name.to_string())
}

pub(super) fn stdin() -> Result<Bytes, Failure> {
    all(io::stdin().lock(), "stdin")
}

/// A file, or stdin where it is called `-`.
pub(super) fn file_or_stdin(path: &Path) -> Result<Bytes, Failure> {
    if path == Path::new("-") { stdin() } else { file(path) }
}

/// What a JSON file says.
pub(super) fn json<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    strongroom_api::parse(&file_or_stdin(path)?).map_err(|error| Failure::from(error).at(&path.display().to_string()))
}

fn all(source: impl Read, name: &str) -> Result<Bytes, Failure> {
    let mut bytes = Bytes::default();
    let read = source.take(MAX + 1).read_to_end(&mut bytes);
    let count = read.map_err(|error| Failure::local(&format!("Cannot read {name}"), &error))?;
    if count as u64 > MAX {
        return Err(Failure::usage(format!(
            "{name} has more than 4 MiB, which no server takes."
        )));
    }
    Ok(bytes)
}
