//! What differs between two values: fields of JSON objects, lines of texts. Lengths are told, contents only where asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::Serialize;
use similar::{Algorithm, DiffTag, capture_diff_slices_deadline};
use strongroom_domain::{Payload, PayloadKind};
use zeroize::Zeroizing;

use super::field;

/// After this, lines are compared more roughly: long texts without a line in common would take very long.
const LONGEST: Duration = Duration::from_secs(2);

pub(super) struct Value {
    payload: Payload,
    /// Of a JSON object.
    fields: BTreeMap<String, Field>,
}

#[derive(PartialEq)]
struct Field {
    text: Zeroizing<String>,
    /// The string `1` is not the number 1.
    is_string: bool,
}

/// One place where two values differ. Without `old` it was added, without `new` removed.
#[derive(Serialize)]
pub(super) struct Change<'a> {
    /// Of a JSON object; without one it is a line, or the whole value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) old: Option<Side<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) new: Option<Side<'a>>,
}

#[derive(Serialize)]
pub(super) struct Side<'a> {
    /// Counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<usize>,
    pub(super) bytes: usize,
    /// Only where contents were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<&'a str>,
}

impl Value {
    pub(super) fn new(payload: Payload) -> Self {
        let object = std::str::from_utf8(&payload.bytes).ok();
        let object = object.filter(|_| payload.kind == PayloadKind::Json);
        let fields = object.and_then(field::all).unwrap_or_default().into_iter();
        let fields = fields.map(|(name, value)| {
            let field = Field {
                text: field::text(value),
                is_string: value.get().starts_with('"'),
            };
            (name, field)
        });
        Self {
            fields: fields.collect(),
            payload,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self.payload.kind {
            PayloadKind::Text => "text",
            PayloadKind::Json => "object",
            PayloadKind::Bytes => "bytes",
        }
    }

    /// To the last byte.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.payload.kind == other.payload.kind && self.payload.bytes == other.payload.bytes
    }

    /// Nothing, too, where two objects differ in how they are written alone.
    pub(super) fn changes<'a>(&'a self, new: &'a Self, show: bool) -> Vec<Change<'a>> {
        let texts = (
            std::str::from_utf8(&self.payload.bytes),
            std::str::from_utf8(&new.payload.bytes),
        );
        match (self.payload.kind, new.payload.kind, texts) {
            _ if self.is(new) => Vec::new(),
            (PayloadKind::Json, PayloadKind::Json, _) => fields(&self.fields, &new.fields, show),
            (PayloadKind::Text, PayloadKind::Text, (Ok(old), Ok(new))) => lines(old, new, show),
            _ => vec![Change {
                field: None,
                old: Some(self.whole(show)),
                new: Some(new.whole(show)),
            }],
        }
    }

    fn whole(&self, show: bool) -> Side<'_> {
        let text = std::str::from_utf8(&self.payload.bytes).ok();
        Side {
            line: None,
            bytes: self.payload.bytes.len(),
            value: text.filter(|_| show && self.payload.kind != PayloadKind::Bytes),
        }
    }
}

fn fields<'a>(old: &'a BTreeMap<String, Field>, new: &'a BTreeMap<String, Field>, show: bool) -> Vec<Change<'a>> {
    let side = |field: &'a Field| Side {
        line: None,
        bytes: field.text.len(),
        value: show.then_some(field.text.as_str()),
    };
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differing = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    let changes = differing.map(|name| Change {
        field: Some(name),
        old: old.get(name).map(side),
        new: new.get(name).map(side),
    });
    changes.collect()
}

fn lines<'a>(old: &'a str, new: &'a str, show: bool) -> Vec<Change<'a>> {
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    let side = |lines: &[&'a str], index: usize| {
        lines.get(index).map(|line| Side {
            line: Some(index + 1),
            bytes: line.len(),
            value: show.then_some(*line),
        })
    };
    let mut changes = Vec::new();
    let deadline = Instant::now().checked_add(LONGEST);
    let blocks = capture_diff_slices_deadline(Algorithm::Myers, &old, &new, deadline);
    for block in blocks.iter().filter(|block| block.tag() != DiffTag::Equal) {
        let (mut olds, mut news) = (block.old_range(), block.new_range());
        for _ in 0..olds.len().max(news.len()) {
            changes.push(Change {
                field: None,
                old: olds.next().and_then(|index| side(&old, index)),
                new: news.next().and_then(|index| side(&new, index)),
            });
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Value {
        Value::new(Payload::text(text.into()))
    }

    fn object(json: &str) -> Value {
        Value::new(Payload::json(json.into()).unwrap())
    }

    fn shown(old: &Value, new: &Value) -> String {
        serde_json::to_string(&old.changes(new, true)).unwrap()
    }

    #[test]
    fn lines_are_paired_within_a_block() {
        assert_eq!(
            shown(&text("a\nb\nc\nd"), &text("a\nB\nc\nd\ne")),
            r#"[{"old":{"line":2,"bytes":2,"value":"b\n"},"new":{"line":2,"bytes":2,"value":"B\n"}},{"old":{"line":4,"bytes":1,"value":"d"},"new":{"line":4,"bytes":2,"value":"d\n"}},{"new":{"line":5,"bytes":1,"value":"e"}}]"#
        );
        assert_eq!(
            shown(&text("a\nb\n"), &text("b\n")),
            r#"[{"old":{"line":1,"bytes":2,"value":"a\n"}}]"#
        );
    }

    #[test]
    fn fields_are_compared_by_what_they_say() {
        let old = object(r#"{"a":"1","b":"é","c":{"x":1},"d":0}"#);
        let new = object(r#"{"a":1,"b":"\u00e9","e":null,"c":{"x":1}}"#);
        assert_eq!(
            shown(&old, &new),
            r#"[{"field":"a","old":{"bytes":1,"value":"1"},"new":{"bytes":1,"value":"1"}},{"field":"d","old":{"bytes":1,"value":"0"}},{"field":"e","new":{"bytes":4,"value":"null"}}]"#
        );
        let spaced = object(r#"{ "a": 1 }"#);
        assert!(!spaced.is(&object(r#"{"a":1}"#)) && spaced.changes(&object(r#"{"a":1}"#), true).is_empty());
    }

    #[test]
    fn another_kind_is_another_value() {
        let bytes = Value::new(Payload::binary(b"a".into()));
        assert_eq!(
            shown(&text("a"), &bytes),
            r#"[{"old":{"bytes":1,"value":"a"},"new":{"bytes":1}}]"#
        );
        assert!(!text("a").is(&bytes) && text("a").is(&text("a")));
    }

    proptest! {
        #[test]
        fn without_being_asked_no_content_is_told(old in "(hunter2[a-c]?\n?){1,8}", new in "(hunter2[a-c]?\n?){1,8}") {
            let objects = [&old, &new].map(|value| object(&serde_json::json!({"a": value, "b": [value]}).to_string()));
            for [old, new] in [[text(&old), text(&new)], objects] {
                let changes = serde_json::to_string(&old.changes(&new, false)).unwrap();
                prop_assert!(!changes.contains("hunter2"), "{}", changes);
                prop_assert_eq!(changes == "[]", old.is(&new));
            }
        }

        #[test]
        fn the_new_text_can_be_made_of_the_old_one(old in "([a-c]?\n){0,12}[a-c]?", new in "([a-c]?\n){0,12}[a-c]?") {
            let (old, new) = (text(&old), text(&new));
            let mut kept = old.payload.bytes.split_inclusive(|byte| *byte == b'\n').map(Some).collect::<Vec<_>>();
            let mut made = Vec::new();
            let changes = old.changes(&new, true);
            for side in changes.iter().filter_map(|change| change.old.as_ref()) {
                kept[side.line.unwrap() - 1] = None;
            }
            let mut kept = kept.into_iter().flatten();
            let added: BTreeMap<usize, &str> = changes
                .iter()
                .filter_map(|change| change.new.as_ref())
                .map(|side| (side.line.unwrap(), side.value.unwrap()))
                .collect();
            for number in 1.. {
                match added.get(&number).map(|line| line.as_bytes()).or_else(|| kept.next()) {
                    Some(line) => made.extend_from_slice(line),
                    None => break,
                }
            }
            prop_assert_eq!(&made, &**new.payload.bytes);
        }
    }
}
