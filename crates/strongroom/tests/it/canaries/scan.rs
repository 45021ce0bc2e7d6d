//! A search for many secrets at once, in every form in which they could have been left behind.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

/// Needles shorter than this would be met by chance.
const SHORTEST: usize = 8;

/// `secret` raw, in base64 at each alignment, in hex, percent-encoded and as JSON escapes.
pub(super) fn forms(secret: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::from([
        secret.to_vec(),
        HEXLOWER.encode(secret).into(),
        HEXUPPER.encode(secret).into(),
    ]);
    for offset in 0..3 {
        let shifted = [&vec![0; offset], secret].concat();
        // Only the characters that the neighbours cannot change.
        let inner = (offset * 8).div_ceil(6)..shifted.len() * 8 / 6;
        forms.insert(BASE64.encode(&shifted)[inner.clone()].into());
        forms.insert(BASE64URL.encode(&shifted)[inner].into());
    }
    let [mut percent, mut upper_percent, mut escapes] = [const { String::new() }; 3];
    for byte in secret {
        write!(percent, "%{byte:02x}").unwrap();
        write!(upper_percent, "%{byte:02X}").unwrap();
        write!(escapes, "\\u{byte:04x}").unwrap();
    }
    forms.extend([percent, upper_percent, escapes].map(String::into_bytes));
    forms
}

pub(super) struct Scanner {
    /// By their first two bytes.
    needles: Vec<Vec<Vec<u8>>>,
    pub(super) files: usize,
    pub(super) bytes: usize,
    /// Where something was found, and around it.
    pub(super) hits: Vec<String>,
}

impl Scanner {
    pub(super) fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut needles = vec![Vec::new(); 1 << 16];
        for needle in secrets.into_iter().flat_map(forms) {
            assert!(
                needle.len() >= SHORTEST,
                "too short to search for: {}",
                needle.escape_ascii()
            );
            needles[index(needle[0], needle[1])].push(needle);
        }
        Self {
            needles,
            files: 0,
            bytes: 0,
            hits: Vec::new(),
        }
    }

    pub(super) fn scan(&mut self, place: &str, bytes: &[u8]) {
        self.bytes += bytes.len();
        for (at, pair) in bytes.windows(2).enumerate() {
            let candidates = &self.needles[index(pair[0], pair[1])];
            if candidates.iter().any(|needle| bytes[at..].starts_with(needle)) {
                let around = &bytes[at.saturating_sub(60)..(at + 80).min(bytes.len())];
                self.hits.push(format!("{place} at {at}: {}", around.escape_ascii()));
            }
        }
    }

    /// All files below a folder but those named.
    pub(super) fn scan_folder(&mut self, folder: &Path, exempt: &[&str]) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                self.scan_folder(&path, exempt);
            } else if path.is_file() && !exempt.contains(&name.as_str()) {
                self.files += 1;
                let bytes = std::fs::read(&path).unwrap();
                self.scan(&path.display().to_string(), &bytes);
            }
        }
    }
}

fn index(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

#[test]
fn the_scanner_finds_what_is_planted() {
    let secret = "canary\"0123456789";
    let url = "canary%220123456789";
    let mut planted = vec![format!("x{secret}y").into_bytes(), format!("{url:?}").into_bytes()];
    planted.extend(forms(secret.as_bytes()));
    for padding in 0..4 {
        let text = format!("{}{secret}{}", "a".repeat(padding), "~".repeat(padding));
        planted.extend([
            BASE64.encode(text.as_bytes()).into(),
            BASE64URL.encode(text.as_bytes()).into(),
        ]);
        planted.extend([
            HEXLOWER.encode(text.as_bytes()).into(),
            HEXUPPER.encode(text.as_bytes()).into(),
        ]);
        planted.push(serde_json::to_vec(&text).unwrap());
    }
    for bytes in planted {
        // As canaries are searched for: by a core that no escaping changes.
        let mut scanner = Scanner::new([secret.as_bytes(), &b"0123456789"[..]]);
        scanner.scan("here", &bytes);
        assert!(!scanner.hits.is_empty(), "{}", bytes.escape_ascii());
    }
    let mut scanner = Scanner::new([secret.as_bytes()]);
    scanner.scan("here", b"canary\"012345678 and nothing else");
    assert!(scanner.hits.is_empty());
}
