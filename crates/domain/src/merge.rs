//! JSON merge patch (RFC 7396) on text: members that a patch does not touch keep their bytes, numbers of any length and
//! the order of keys included.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::{Error, Result};

/// One member of an object, as written.
struct Member<'a> {
    key: &'a RawValue,
    value: &'a RawValue,
}

impl Member<'_> {
    /// The key with its escapes read.
    fn name(&self) -> Cow<'_, str> {
        serde_json::from_str::<String>(self.key.get()).map_or(Cow::Borrowed(self.key.get()), Cow::Owned)
    }
}

struct Object<'a>(Vec<Member<'a>>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(key) = map.next_key()? {
                    let value = map.next_value()?;
                    members.push(Member { key, value });
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

fn object(text: &str) -> Option<Object<'_>> {
    serde_json::from_str(text).ok()
}

/// `target` with `patch` merged into it; both are JSON objects no deeper than [`crate::payload::MAX_DEPTH`].
pub fn merge(target: &str, patch: &str) -> Result<Zeroizing<String>> {
    let not_an_object = || Error::invalid("A merge patch changes a JSON object by a JSON object.");
    let target = object(target).ok_or_else(not_an_object)?;
    let patch = object(patch).ok_or_else(not_an_object)?;
    // Never grown, so that no copy is left behind.
    let room = |object: &Object<'_>| -> usize {
        let members = object.0.iter();
        members
            .map(|member| member.key.get().len() + member.value.get().len() + 2)
            .sum()
    };
    let mut out = Zeroizing::new(String::with_capacity(room(&target) + room(&patch) + 2));
    write(target, patch, &mut out);
    Ok(out)
}

/// A member named twice counts by its last value, as parsers read it; touched, it is written once.
fn write(target: Object<'_>, patch: Object<'_>, out: &mut String) {
    let old: Vec<(String, Member<'_>)> = named(target);
    let new: Vec<(String, Member<'_>)> = named(patch);
    let last = |members: &[(String, Member<'_>)], name: &str| members.iter().rposition(|(known, _)| known == name);
    out.push('{');
    let start = out.len();
    let comma = |out: &mut String| {
        if out.len() > start {
            out.push(',');
        }
    };
    for (at, (name, member)) in old.iter().enumerate() {
        match last(&new, name).and_then(|change| new.get(change)) {
            None => {
                comma(out);
                put(out, member.key, member.value.get());
            }
            Some((_, change)) if last(&old, name) == Some(at) && !is_null(change) => {
                comma(out);
                put(out, member.key, "");
                write_value(Some(member.value), change.value, out);
            }
            Some(_) => {}
        }
    }
    for (at, (name, change)) in new.iter().enumerate() {
        if last(&old, name).is_none() && last(&new, name) == Some(at) && !is_null(change) {
            comma(out);
            put(out, change.key, "");
            write_value(None, change.value, out);
        }
    }
    out.push('}');
}

fn write_value(old: Option<&RawValue>, new: &RawValue, out: &mut String) {
    match object(new.get()) {
        Some(patch) => {
            let target = old.and_then(|old| object(old.get()));
            write(target.unwrap_or(Object(Vec::new())), patch, out);
        }
        None => out.push_str(new.get()),
    }
}

fn named(object: Object<'_>) -> Vec<(String, Member<'_>)> {
    let members = object.0.into_iter();
    members.map(|member| (member.name().into_owned(), member)).collect()
}

fn is_null(member: &Member<'_>) -> bool {
    member.value.get() == "null"
}

fn put(out: &mut String, key: &RawValue, value: &str) {
    out.push_str(key.get());
    out.push(':');
    out.push_str(value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn what_is_not_touched_keeps_its_text() {
        let number = "1234567890123456789012345678901234567890";
        let target = format!(r#"{{"z":{number},"a\u0062":1.00,"list":[ 1, 2 ],"deep":{{"x":1e5,"y":"A"}}}}"#);
        let merged = merge(&target, r#"{"new":true,"deep":{"y":null,"q":{"n":null,"m":1}},"ab":2}"#).unwrap();
        assert_eq!(
            *merged,
            format!(r#"{{"z":{number},"a\u0062":2,"list":[ 1, 2 ],"deep":{{"x":1e5,"q":{{"m":1}}}},"new":true}}"#)
        );
        assert_eq!(*merge(r#"{"a":1,"a":2}"#, r#"{"a":3}"#).unwrap(), r#"{"a":3}"#);
        assert_eq!(*merge(r#"{"a":1}"#, r#"{"a":null}"#).unwrap(), "{}");
        assert!(merge("[]", "{}").is_err() && merge("{}", "1").is_err());
    }

    /// The algorithm of RFC 7396 §2, on values.
    fn reference(target: Value, patch: &Value) -> Value {
        let Value::Object(patch) = patch else {
            return patch.clone();
        };
        let mut target = match target {
            Value::Object(target) => target,
            _ => Map::new(),
        };
        for (name, value) in patch {
            if value.is_null() {
                target.remove(name);
            } else {
                let old = target.remove(name).unwrap_or(Value::Null);
                target.insert(name.clone(), reference(old, value));
            }
        }
        Value::Object(target)
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c\"\\\\é]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::hash_map("[a-d\"é]{0,2}", inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn some_object() -> impl Strategy<Value = Value> {
        proptest::collection::hash_map("[a-d\"é]{0,2}", value(), 0..5)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn it_is_rfc_7396(target in some_object(), patch in some_object()) {
            let merged = merge(&target.to_string(), &patch.to_string()).unwrap();
            let merged: Value = serde_json::from_str(&merged).unwrap();
            prop_assert_eq!(merged, reference(target, &patch));
        }
    }
}
