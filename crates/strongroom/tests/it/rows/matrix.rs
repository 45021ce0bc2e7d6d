//! What became of each use, printed compactly and judged at the end, so that one failure does not hide the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

#[derive(Default)]
pub(crate) struct Matrix {
    cells: BTreeMap<(String, String), BTreeSet<String>>,
    uses: usize,
    failures: Vec<String>,
}

impl Matrix {
    pub(crate) fn put(&mut self, kind: &str, what: &str, code: &str, verdict: Result<(), String>) {
        self.cells
            .entry((kind.to_owned(), what.to_owned()))
            .or_default()
            .insert(code.to_owned());
        self.uses += 1;
        self.failures.extend(verdict.err());
    }

    pub(crate) fn finish(self, title: &str) {
        let mut lines: BTreeMap<&str, BTreeMap<String, Vec<&str>>> = BTreeMap::new();
        for ((kind, what), codes) in &self.cells {
            let codes = codes.iter().map(String::as_str).collect::<Vec<_>>().join("+");
            lines.entry(kind).or_default().entry(codes).or_default().push(what);
        }
        let mut text = format!(
            "{title}: {} alterations, {} uses, {} wrong\n",
            self.cells.len(),
            self.uses,
            self.failures.len()
        );
        for (kind, codes) in lines {
            for (codes, what) in codes {
                let _ = writeln!(text, "  {kind:<11} {codes:<32} {}", what.join(" "));
            }
        }
        println!("{text}");
        assert!(self.failures.is_empty(), "{}", self.failures.join("\n"));
        assert!(self.uses > 0, "something was used");
    }
}
