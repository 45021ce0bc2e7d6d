//! What a flag has been.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};
use strongroom_api::flags::Flag;
use strongroom_domain::flag::FlagPath;

use crate::client::failure::Failure;
use crate::client::output::{or_dash, table};
use crate::client::session::Session;

pub(super) async fn history(session: &Session, path: &FlagPath) -> Result<(), Failure> {
    let history = session.client.flag_history(path).await?;
    session.output.show(&history, || {
        let rows = history.items.iter().map(|flag| {
            let text = |member: &str| or_dash(flag.definition.get(member).and_then(Value::as_str));
            [
                flag.version.to_string(),
                flag.updated_at.to_string(),
                text("state"),
                text("defaultVariant"),
                flag.principal.to_string(),
            ]
        });
        table(["VERSION", "WRITTEN", "STATE", "DEFAULT", "BY"], rows)
    })
}

pub(super) async fn diff(
    session: &Session,
    path: &FlagPath,
    old: Option<i64>,
    new: Option<i64>,
) -> Result<(), Failure> {
    let history = session.client.flag_history(path).await?;
    let difference = Difference::of(&history.items, old, new)?;
    session.output.show(&difference, || difference.lines())
}

#[derive(Serialize)]
struct Difference {
    old: i64,
    new: i64,
    changes: Vec<Change>,
}

/// One place where two versions differ. Without `old` it was added, without `new` removed.
#[derive(Debug, Serialize, PartialEq)]
struct Change {
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<Value>,
}

impl Difference {
    fn of(versions: &[Flag], old: Option<i64>, new: Option<i64>) -> Result<Self, Failure> {
        let newest = versions.first().map_or(0, |newest| newest.version);
        let (new, old) = (new.unwrap_or(newest), old.unwrap_or(newest - 1));
        let said = |number: i64| {
            let found = versions.iter().find(|version| version.version == number);
            found.map(said).ok_or_else(|| {
                Failure::not_found(format!("There is no version {number} of the flag, or not any more."))
            })
        };
        Ok(Self {
            old,
            new,
            changes: changes(&said(old)?, &said(new)?),
        })
    }

    fn lines(&self) -> String {
        let lines = self.changes.iter().flat_map(|change| {
            let sides = [("-", &change.old), ("+", &change.new)];
            let sides = sides
                .into_iter()
                .filter_map(|(sign, side)| Some((sign, side.as_ref()?)));
            sides.map(|(sign, side)| format!("{sign} {}: {side}", change.at).replace(char::is_control, "?") + "\n")
        });
        lines.collect()
    }
}

/// What somebody wrote, without what the server knows of it.
fn said(flag: &Flag) -> Value {
    json!({
        "definition": flag.definition, "bucketing_version": flag.bucketing_version, "about": flag.about,
    })
}

fn changes(old: &Value, new: &Value) -> Vec<Change> {
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    leaves(old, String::new(), &mut before);
    leaves(new, String::new(), &mut after);
    let places: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = places.into_iter().filter(|at| before.get(*at) != after.get(*at));
    let changes = differing.map(|at| Change {
        at: at.clone(),
        old: before.get(at).copied().cloned(),
        new: after.get(at).copied().cloned(),
    });
    changes.collect()
}

/// What holds nothing more, by its JSON pointer.
fn leaves<'a>(value: &'a Value, at: String, found: &mut BTreeMap<String, &'a Value>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                leaves(member, format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (number, item) in items.iter().enumerate() {
                leaves(item, format!("{at}/{number}"), found);
            }
        }
        leaf => drop(found.insert(at, leaf)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_has_its_place() {
        let old = json!({ "a/b": [1, 2], "c": {}, "d": "x", "e": 1 });
        let new = json!({ "a/b": [1, 3, 4], "c": {}, "d": { "y": null }, "e": 1 });
        let change = |at: &str, old: Option<Value>, new: Option<Value>| Change {
            at: at.to_owned(),
            old,
            new,
        };
        assert_eq!(
            changes(&old, &new),
            [
                change("/a~1b/1", Some(json!(2)), Some(json!(3))),
                change("/a~1b/2", None, Some(json!(4))),
                change("/d", Some(json!("x")), None),
                change("/d/y", None, Some(json!(null))),
            ]
        );
        assert!(changes(&old, &old).is_empty());
    }
}
