//! Two stores stay one only while the same suite runs on both and leaves out no method.

use crate::source::{mask, trait_methods};
use crate::workspace::{Fallible, files, has_extension, root};
use std::fs;
use std::path::Path;

pub(super) fn check() -> Fallible<Vec<String>> {
    let ports = root().join("crates/ports/src");
    let Ok(store) = fs::read_to_string(ports.join("store.rs")) else {
        return Ok(vec![
            "crates/ports/src/store.rs, where the Store trait belongs, cannot be read".to_owned(),
        ]);
    };
    let Some(methods) = trait_methods(&store, "Store") else {
        return Ok(vec!["crates/ports/src/store.rs has no `pub trait Store`".to_owned()]);
    };
    let suite = mask(&(rust_under(&ports.join("conformance"))? + &read_if_there(&ports.join("conformance.rs"))));
    let untested = methods.iter().filter(|method| !suite.contains(&format!(".{method}(")));
    let mut violations: Vec<String> = untested
        .map(|method| format!("Store::{method} is called nowhere in crates/ports/src/conformance"))
        .collect();
    for store in ["store-postgres", "store-sqlite"] {
        let tests = root().join("crates").join(store).join("tests/it");
        if !mask(&rust_under(&tests)?).contains("strongroom_ports::conformance") {
            violations.push(format!(
                "crates/{store}/tests/it does not run strongroom_ports::conformance"
            ));
        }
    }
    Ok(violations)
}

fn rust_under(folder: &Path) -> Fallible<String> {
    let sources = files(folder)?.into_iter().filter(|file| has_extension(file, "rs"));
    Ok(sources.map(|file| read_if_there(&file)).collect())
}

fn read_if_there(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}
