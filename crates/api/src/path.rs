//! A path in a URL: each segment percent-encoded by itself, as `SecretPath::parse_encoded` decodes it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A path's segments, encoded and joined by `/` again.
pub fn encode(path: &str) -> String {
    path.split('/').map(encode_segment).collect::<Vec<_>>().join("/")
}

/// One segment: a `/` in it is encoded too.
pub fn encode_segment(segment: &str) -> String {
    utf8_percent_encode(segment, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use strongroom_domain::SecretPath;

    use super::*;

    #[test]
    fn encoded_paths_come_back() {
        for path in ["a/b", "a b/ü", "a%2fb/#?;=&+", "~a/.b-_", "\"<>`{}|\\^[]/:@"] {
            assert_eq!(SecretPath::parse_encoded(&encode(path)).unwrap().as_str(), path);
        }
        assert_eq!(encode_segment("a/b"), "a%2Fb");
    }
}
