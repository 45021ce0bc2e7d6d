//! `POST batch`: many secrets in one call, each item with its own outcome.

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use strongroom_domain::{Error, Result, Time};
use zeroize::Zeroizing;

use crate::secrets::Secret;
use crate::{Problem, With};

/// Items in one batch.
pub const MAX_ITEMS: usize = 1000;

/// Either reads or writes.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    extend("oneOf" = [{ "required": ["reads"] }, { "required": ["writes"] }]),
    extend("dependentRequired" = { "atomic": ["writes"] })
)]
pub struct BatchRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<BatchRead>", length(min = 1, max = 1000))]
    pub reads: Option<Vec<BatchRead>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<BatchWrite>", length(min = 1, max = 1000))]
    pub writes: Option<Vec<BatchWrite>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub atomic: Option<bool>,
}

#[derive(Debug)]
pub enum Batch {
    Reads(Vec<BatchRead>),
    /// `atomic`: all or none.
    Writes {
        items: Vec<BatchWrite>,
        atomic: bool,
    },
}

impl BatchRequest {
    pub fn reads(reads: Vec<BatchRead>) -> Self {
        Self {
            reads: Some(reads),
            ..Self::default()
        }
    }

    pub fn writes(writes: Vec<BatchWrite>, atomic: bool) -> Self {
        Self {
            writes: Some(writes),
            atomic: Some(atomic),
            ..Self::default()
        }
    }

    pub fn batch(self) -> Result<Batch> {
        let batch = match (self.reads, self.writes) {
            (Some(_), None) if self.atomic.is_some() => return Err(Error::invalid("'atomic' belongs to 'writes'.")),
            (Some(reads), None) => Batch::Reads(reads),
            (None, Some(items)) => Batch::Writes {
                items,
                atomic: self.atomic.unwrap_or(false),
            },
            _ => return Err(Error::invalid("Exactly one of 'reads' and 'writes' is needed.")),
        };
        let count = match &batch {
            Batch::Reads(items) => items.len(),
            Batch::Writes { items, .. } => items.len(),
        };
        if (1..=MAX_ITEMS).contains(&count) {
            Ok(batch)
        } else {
            Err(Error::invalid(format!(
                "A batch has 1 to {MAX_ITEMS} items; this one has {count}."
            )))
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRead {
    #[schemars(length(min = 1, max = 512))]
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub version: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = crate::schema::LABEL))]
    pub label: Option<String>,
}

pub type BatchWrite = With<BatchWriteOptions>;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchWriteOptions {
    #[schemars(length(min = 1, max = 512))]
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub cas: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = crate::schema::CHANGE_ID))]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(inner(regex(pattern = crate::schema::LABEL)))]
    pub labels: Option<Vec<String>>,
    /// Writes nothing where the current value is this one already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unless_same: bool,
}

/// The items stand in the order of the request.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(bound(deserialize = "T: DeserializeOwned"))]
#[schemars(rename = "BatchOf{T}")]
pub struct BatchAnswer<T> {
    pub items: Vec<Item<T>>,
}

pub type ReadAnswer = BatchAnswer<Secret>;
pub type WriteAnswer = BatchAnswer<BatchWritten>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchWritten {
    pub path: String,
    #[schemars(range(min = 1))]
    pub version: i64,
    #[schemars(regex(pattern = crate::schema::CHANGE_ID))]
    pub id: String,
    pub created_at: Time,
    /// The version stood there already: nothing was written.
    pub unchanged: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "BatchItemOf{T}")]
pub enum Item<T> {
    Done(T),
    Failed(Failed),
}

impl<T> Item<T> {
    pub fn into_result(self) -> std::result::Result<T, Failed> {
        match self {
            Self::Done(item) => Ok(item),
            Self::Failed(failed) => Err(failed),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "BatchFailure")]
pub struct Failed {
    pub path: String,
    pub error: Box<Problem>,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Item<T> {
    /// Not `untagged`: that buffers, and a buffered `RawValue` is lost.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Peek {
            path: String,
            error: Option<Box<Problem>>,
        }
        let raw: Box<str> = Box::<RawValue>::deserialize(deserializer)?.into();
        let raw = Zeroizing::new(String::from(raw));
        let peek: Peek = serde_json::from_str(&raw).map_err(D::Error::custom)?;
        match peek.error {
            Some(error) => Ok(Self::Failed(Failed { path: peek.path, error })),
            None => serde_json::from_str(&raw).map(Self::Done).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use strongroom_domain::Code;

    use super::*;

    #[test]
    fn items_come_back_as_they_went() {
        let exact = r#"{"n": 1.50}"#;
        let secret = format!(
            r#"{{"path":"a","version":1,"id":"i","labels":["current"],"created_at":"2026-01-01T00:00:00Z","data":{exact}}}"#
        );
        let problem = Box::new(Problem::new(&Error::from(Code::NotFound), 404, ""));
        let failed = serde_json::to_string(&Failed {
            path: "b".into(),
            error: problem,
        })
        .unwrap();
        let answer: ReadAnswer = serde_json::from_str(&format!(r#"{{"items":[{secret},{failed}]}}"#)).unwrap();
        let again = serde_json::to_string(&answer).unwrap();
        assert!(again.contains(exact) && again.contains(&failed), "{again}");
        let mut items = answer.items.into_iter().map(Item::into_result);
        assert_eq!(items.next().unwrap().unwrap().payload.data.unwrap().as_str(), exact);
        assert_eq!(items.next().unwrap().unwrap_err().path, "b");
    }

    #[test]
    fn a_batch_reads_or_writes() {
        let batch = |body: &str| crate::parse::<BatchRequest>(body.as_bytes()).and_then(BatchRequest::batch);
        let writes = r#"{"writes":[{"path":"a","data":{"x": 1},"unless_same":true}],"atomic":true}"#;
        let Ok(Batch::Writes { items, atomic: true }) = batch(writes) else {
            panic!("not an atomic batch of writes")
        };
        assert_eq!(items[0].payload.data.as_ref().unwrap().as_str(), r#"{"x": 1}"#);
        assert!(matches!(
            batch(r#"{"reads":[{"path":"a","version":2}]}"#),
            Ok(Batch::Reads(_))
        ));
        for bad in [
            "{}",
            r#"{"reads":[],"writes":[]}"#,
            r#"{"reads":[]}"#,
            r#"{"reads":[{"path":"a"}],"atomic":true}"#,
        ] {
            assert!(batch(bad).is_err(), "{bad}");
        }
    }
}
