//! Reading a request's body without repeating any of it: serde_json's own messages quote what they found, and what they
//! found may be a secret in the wrong field.

use serde::de::DeserializeOwned;
use serde_json::error::Category;
use strongroom_domain::{Error, Result};

/// A request from its body. The error names fields and places, never content.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| Error::invalid(describe(&error)))
}

/// What is wrong with some JSON, with nothing of what it holds but the names of fields and variants.
pub fn describe(error: &serde_json::Error) -> String {
    let place = format!("line {} column {}", error.line(), error.column());
    match error.classify() {
        Category::Io | Category::Syntax | Category::Eof => format!("The body is not valid JSON at {place}."),
        Category::Data => {
            let message = error.to_string();
            let message = message
                .rsplit_once(" at line ")
                .map_or(message.as_str(), |(message, _)| message);
            // "unknown field `hunter2`, expected `cas`": only what was expected may be told.
            let kind = if message.starts_with("unknown ") || message.starts_with("duplicate ") {
                "a field or a name is unknown, or stands twice"
            } else {
                "a field is missing, or has a wrong type or value"
            };
            let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
            let missing = message.strip_prefix("missing field ");
            let shown = match (missing, expected) {
                (Some(field), _) => format!("the field {field} is missing"),
                (None, Some(expected)) => format!("{kind}, expected {expected}"),
                (None, None) => kind.to_owned(),
            };
            format!("The body does not fit at {place}: {shown}.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::WriteSecret;

    fn detail(body: &str) -> String {
        parse::<WriteSecret>(body.as_bytes()).unwrap_err().detail
    }

    #[test]
    fn errors_help_and_repeat_no_value() {
        for body in [
            r#"{"value":"a","cas":"hunter2"}"#,
            r#"{"value":["hunter2"]}"#,
            r#"{"value":{"hunter2":1}}"#,
            r#"{"bytes":"a","cas":{"hunter2":"hunter2, expected hunter2"}}"#,
            r#"{"value":"hunter2"#,
            r#"{"labels":"hunter2"}"#,
            r#"{"hunter2":1}"#,
            r#"{"hunter2":1,"hunter2":2}"#,
            r#""hunter2""#,
        ] {
            let detail = detail(body);
            assert!(!detail.contains("hunter2"), "{detail}");
        }
        assert!(detail(r#"{"value":"a","cast":1}"#).contains("`cas`"));
        assert!(detail(r#"{"value":"a","value":"b"}"#).contains("stands twice"));
        assert!(detail(r#"{"cas":1,"cas":2}"#).contains("stands twice"));
        assert!(detail(r#"{"value":7}"#).contains("expected a string"));
    }
}
