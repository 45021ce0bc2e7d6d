//! The one canonical name of a secret or flag. What policy sees, storage sees and audit records is this value.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::{Code, Error, Result};

pub const MAX_BYTES: usize = 512;
pub const MAX_SEGMENTS: usize = 32;

/// Segments joined by `/`: NFC, no control characters, no empty, `.` or `..` segment, at most 512 bytes and 32 segments.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretPath(String);

impl SecretPath {
    /// From text that is not percent-encoded (a request's body, the command line, a stored row).
    pub fn parse(text: &str) -> Result<Self> {
        check(text)?;
        Ok(Self(text.to_owned()))
    }

    /// From a URL's path: decoded once, segment by segment, so that an encoded `/` cannot make a new segment.
    pub fn parse_encoded(raw: &str) -> Result<Self> {
        // Most paths need neither decoding nor normalising.
        if raw
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.'))
        {
            return Self::parse(raw);
        }
        let mut path = String::with_capacity(raw.len());
        for (index, segment) in raw.split('/').enumerate() {
            if index > 0 {
                path.push('/');
            }
            let decoded = percent_decode_str(segment)
                .decode_utf8()
                .map_err(|_| refuse("it is not UTF-8"))?;
            if decoded.contains('/') {
                return Err(refuse("a segment holds an encoded '/'"));
            }
            path.extend(decoded.nfc());
        }
        Self::parse(&path)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl Serialize for SecretPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for SecretPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|error| serde::de::Error::custom(error.detail))
    }
}

impl fmt::Display for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A folder: the empty prefix is the top. Written without a trailing `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Prefix(Option<SecretPath>);

impl Prefix {
    pub const TOP: Self = Self(None);

    /// One trailing `/` is taken as written for a folder.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.is_empty() {
            Ok(Self::TOP)
        } else {
            SecretPath::parse(text).map(|path| Self(Some(path)))
        }
    }

    pub fn parse_encoded(raw: &str) -> Result<Self> {
        let raw = raw.strip_suffix('/').unwrap_or(raw);
        if raw.is_empty() {
            Ok(Self::TOP)
        } else {
            SecretPath::parse_encoded(raw).map(|path| Self(Some(path)))
        }
    }

    /// What every name below the folder starts with: empty at the top, else with its trailing `/`.
    pub fn start(&self) -> String {
        self.0.as_ref().map_or_else(String::new, |path| format!("{path}/"))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", SecretPath::as_str)
    }

    /// The path of a name directly in this folder.
    pub fn join(&self, name: &str) -> Result<SecretPath> {
        SecretPath::parse(&format!("{}{name}", self.start()))
    }
}

fn refuse(why: &str) -> Error {
    Error::new(Code::InvalidPath, format!("The path is not valid: {why}."))
}

fn check(text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(refuse("it is empty"));
    }
    if text.len() > MAX_BYTES {
        return Err(refuse("it has more than 512 bytes"));
    }
    if text.split('/').count() > MAX_SEGMENTS {
        return Err(refuse("it has more than 32 segments"));
    }
    for segment in text.split('/') {
        match segment {
            "" => return Err(refuse("a segment is empty")),
            "." | ".." => return Err(refuse("a segment is '.' or '..'")),
            _ => {}
        }
    }
    if text.is_ascii() {
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(refuse("it holds a control character"));
        }
        return Ok(());
    }
    if text.chars().any(is_unseen) {
        return Err(refuse("it holds a control or invisible formatting character"));
    }
    let normal = match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => true,
        IsNormalized::No => false,
        IsNormalized::Maybe => text.nfc().eq(text.chars()),
    };
    if normal {
        Ok(())
    } else {
        Err(refuse("it is not in Unicode's NFC form"))
    }
}

/// Control characters, those that change how text looks without being seen (two names must not look the same), and the
/// greatest character, which a listing uses as the end of a folder's range.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || c == char::MAX
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refused() {
        let long = "a/".repeat(32) + "a";
        let wide = "a".repeat(513);
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "a/../b",
            "a/.",
            "a\0b",
            "a\nb",
            "e\u{301}",
            "a\u{202e}b",
            &long,
            &wide,
        ] {
            assert_eq!(SecretPath::parse(bad).unwrap_err().code, Code::InvalidPath, "{bad:?}");
        }
        for bad in ["a%2fb", "a%2Fb", "%2e%2e/a", "a/%2e", "a%00b", "a%ff", "a%0a", "", "a/"] {
            assert_eq!(
                SecretPath::parse_encoded(bad).unwrap_err().code,
                Code::InvalidPath,
                "{bad:?}"
            );
        }
    }

    #[test]
    fn encoded_is_decoded_once_and_normalised() {
        assert_eq!(SecretPath::parse_encoded("a%20b/%C3%BC").unwrap().as_str(), "a b/ü");
        assert_eq!(SecretPath::parse_encoded("e%CC%81").unwrap().as_str(), "é");
        assert_eq!(SecretPath::parse_encoded("a%252fb").unwrap().as_str(), "a%2fb");
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_kept_exactly(text in any::<String>()) {
            if let Ok(path) = SecretPath::parse(&text) {
                prop_assert_eq!(path.as_str(), text.as_str());
                prop_assert!(text.split('/').all(|segment| !segment.is_empty() && segment != "." && segment != ".."));
            }
        }

        #[test]
        fn encoding_a_path_and_parsing_it_gives_it_back(text in "[a-zA-Zäöü .%+~@:-]{1,20}(/[a-zA-Zäöü %+~@:-]{1,20}){0,5}") {
            prop_assume!(SecretPath::parse(&text).is_ok());
            let raw: Vec<String> = text
                .split('/')
                .map(|segment| percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC).to_string())
                .collect();
            let path = SecretPath::parse_encoded(&raw.join("/")).unwrap();
            prop_assert_eq!(path.as_str(), text.as_str());
        }

        #[test]
        fn any_bytes_in_a_url_are_refused_or_canonical(raw in "[ -~]{0,60}") {
            if let Ok(path) = SecretPath::parse_encoded(&raw) {
                prop_assert_eq!(SecretPath::parse(path.as_str()).unwrap(), path);
            }
        }
    }
}
