//! What is sealed: one of three kinds, the bytes kept exactly as received.

use std::fmt;

use zeroize::Zeroizing;

use crate::{Code, Error, Result};

/// Deepest nesting of JSON that is taken anywhere.
pub const MAX_DEPTH: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayloadKind {
    Text = 1,
    Json = 2,
    Bytes = 3,
}

impl PayloadKind {
    pub fn number(self) -> i16 {
        self as i16
    }

    pub fn from_number(number: i16) -> Option<Self> {
        match number {
            1 => Some(Self::Text),
            2 => Some(Self::Json),
            3 => Some(Self::Bytes),
            _ => None,
        }
    }
}

/// Plaintext: wiped when dropped, never printed.
pub struct Payload {
    pub kind: PayloadKind,
    pub bytes: Zeroizing<Vec<u8>>,
}

impl Payload {
    pub fn text(value: String) -> Self {
        Self {
            kind: PayloadKind::Text,
            bytes: Zeroizing::new(value.into_bytes()),
        }
    }

    pub fn binary(value: Vec<u8>) -> Self {
        Self {
            kind: PayloadKind::Bytes,
            bytes: Zeroizing::new(value),
        }
    }

    /// A JSON object's text, as received.
    pub fn json(text: String) -> Result<Self> {
        let bytes = Zeroizing::new(text.into_bytes());
        check_depth(&bytes)?;
        let is_object = bytes.trim_ascii_start().starts_with(b"{");
        if !is_object || serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_err() {
            return Err(Error::invalid(
                "'data' must be a JSON object; a plain string goes in 'value'.",
            ));
        }
        Ok(Self {
            kind: PayloadKind::Json,
            bytes,
        })
    }

    pub fn check_size(&self, limit: usize) -> Result<()> {
        if self.bytes.len() > limit {
            let size = self.bytes.len();
            return Err(Error::new(
                Code::PayloadTooLarge,
                format!("The value has {size} bytes; {limit} are allowed."),
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({:?}, {} bytes)", self.kind, self.bytes.len())
    }
}

/// Refuses JSON nested deeper than [`MAX_DEPTH`] in one pass, before anything is built from it.
pub fn check_depth(json: &[u8]) -> Result<()> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match (in_string, *byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(Error::invalid("The JSON is nested deeper than 32 levels."));
                }
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_must_be_an_object_and_shallow() {
        assert!(Payload::json(r#"{"a":[1,"]}"]}"#.into()).is_ok());
        for bad in ["[]", "1", "\"a\"", "{", "null"] {
            assert!(Payload::json(bad.into()).is_err(), "{bad}");
        }
        let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(Payload::json(deep(32)).is_ok());
        assert!(Payload::json(deep(33)).is_err());
    }
}
