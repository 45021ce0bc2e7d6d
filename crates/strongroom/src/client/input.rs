//! Bytes from a file or from stdin, exactly as they are, wiped when dropped.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::yaml;

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

/// What a JSON or YAML document says: of stdin (`-`), or of a file, with an `@` before its name or without.
pub(super) fn document(source: &str) -> Result<Value, Failure> {
    let text = text(source)?;
    value(&text).map_err(|failure| failure.at(source))
}

/// The same of what stands there: JSON where it starts as an object does, or else YAML.
pub(super) fn value(text: &str) -> Result<Value, Failure> {
    if text.trim_start().starts_with('{') {
        return Ok(strongroom_api::parse(text.as_bytes())?);
    }
    yaml::read(text).map_err(Failure::usage)
}

/// Text of stdin (`-`), or of a file, with an `@` before its name or without.
pub(super) fn text(source: &str) -> Result<Zeroizing<String>, Failure> {
    let mut bytes = file_or_stdin(Path::new(source.strip_prefix('@').unwrap_or(source)))?;
    String::from_utf8(std::mem::take(&mut *bytes))
        .map(Zeroizing::new)
        .map_err(|_| Failure::usage(format!("{source} is not UTF-8 text.")))
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
