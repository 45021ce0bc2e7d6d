//! Fields of a JSON object, and `PATH#KEY`, which names one.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::failure::Failure;

/// What stands behind the last `#` is the key; an empty one is none.
pub(super) fn split(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('#') {
        Some((path, "")) => (path, None),
        Some((path, key)) => (path, Some(key)),
        None => (text, None),
    }
}

/// Every field with its exact JSON; `None` where the text is no JSON object.
pub(super) fn all(object: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(object).ok()
}

/// The exact JSON of one field. `object` is `None` for a value that is no JSON object; `path` is where it came from.
pub(super) fn pick<'a>(object: Option<&'a str>, path: &str, key: &str) -> Result<&'a RawValue, Failure> {
    let Some(object) = object else {
        return Err(Failure::usage(format!(
            "The value of {path} is no JSON object, so it has no field to pick."
        )));
    };
    let field = all(object).and_then(|fields| fields.get(key).copied());
    field.ok_or_else(|| Failure::not_found(format!("{path} has no field '{key}'.")))
}

/// A string as it is, everything else as its exact JSON.
pub(super) fn text(field: &RawValue) -> Zeroizing<String> {
    let string = serde_json::from_str(field.get());
    Zeroizing::new(string.unwrap_or_else(|_| field.get().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_hash_splits() {
        assert_eq!(split("a/b"), ("a/b", None));
        assert_eq!(split("a/b#c"), ("a/b", Some("c")));
        assert_eq!(split("a#b#c"), ("a#b", Some("c")));
        assert_eq!(split("a#b#"), ("a#b", None));
    }

    #[test]
    fn a_field_is_exact_and_an_absent_one_is_named() {
        let object = Some(r#"{"a":{ "n": 1.0 },"b":"x\n"}"#);
        let shown = |key| pick(object, "p", key).map(|field| text(field).to_string());
        assert_eq!(shown("a").unwrap(), r#"{ "n": 1.0 }"#);
        assert_eq!(shown("b").unwrap(), "x\n");
        assert!(format!("{:?}", shown("c").unwrap_err()).contains("p has no field 'c'"));
        assert!(format!("{:?}", pick(None, "p", "a").unwrap_err()).contains("no JSON object"));
    }
}
