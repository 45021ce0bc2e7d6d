//! What every task needs to know about the workspace: where it is, what it holds, and how to run a command in it.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) type Fallible<T> = Result<T, Box<dyn Error>>;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    kind: Option<String>,
    path: Option<PathBuf>,
}

impl Dependency {
    pub(crate) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }

    /// Whether it is a crate of this workspace; everything else comes from a registry.
    pub(crate) fn is_ours(&self) -> bool {
        self.path.is_some()
    }
}

pub(crate) fn root() -> PathBuf {
    // Cargo names the folder of the run; the one of the build is another where checkouts share a target folder.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    // This crate lives two folders below the root.
    Path::new(&here)
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .unwrap_or_default()
}

pub(crate) fn packages() -> Fallible<Vec<Package>> {
    let output = cargo(&["metadata", "--format-version", "1", "--no-deps"])?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", text(&output.stderr)).into());
    }
    Ok(serde_json::from_slice::<Metadata>(&output.stdout)?.packages)
}

/// Runs cargo without the network, and with it only where the first run was missing something.
pub(crate) fn cargo(arguments: &[&str]) -> io::Result<Output> {
    let offline = Command::new("cargo")
        .args(arguments)
        .arg("--offline")
        .current_dir(root())
        .output()?;
    let stderr = text(&offline.stderr);
    if offline.status.success() || !(stderr.contains("--offline") || stderr.contains("offline mode")) {
        return Ok(offline);
    }
    Command::new("cargo").args(arguments).current_dir(root()).output()
}

/// What git prints, or nothing where it refuses: outside a repository, or asked for something that does not exist.
pub(crate) fn git(arguments: &[&str]) -> io::Result<Option<String>> {
    let output = Command::new("git").args(arguments).current_dir(root()).output()?;
    Ok(output.status.success().then(|| text(&output.stdout).trim().to_owned()))
}

/// Runs a command with its output on ours, and fails where it fails.
pub(crate) fn run(command: &mut Command) -> Fallible<()> {
    let status = command
        .status()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if !status.success() {
        return Err(format!("{} failed: {status}", command.get_program().display()).into());
    }
    Ok(())
}

/// Every file under a folder, in order; none where the folder does not exist.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in entries(folder)? {
        if entry.is_dir() {
            found.extend(files(&entry)?);
        } else {
            found.push(entry);
        }
    }
    Ok(found)
}

/// What a folder holds, in order; nothing where it does not exist.
pub(crate) fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut found = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}

pub(crate) fn has_extension(file: &Path, extension: &str) -> bool {
    file.extension().is_some_and(|found| found == extension)
}

/// A path as people write it: from the root of the workspace.
pub(crate) fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
