//! A value as JSON shows it: exactly one of `value`, `data` and `bytes`.

use std::fmt;
use std::marker::PhantomData;

use data_encoding::BASE64;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use strongroom_domain::{Error, Payload, PayloadKind, Result};
use zeroize::{Zeroize as _, Zeroizing};

/// The three fields as received, wiped when dropped. Whether they make a payload is seen by `TryFrom`.
#[derive(Default)]
pub struct PayloadFields {
    pub value: Option<Zeroizing<String>>,
    /// The text of a JSON object, byte for byte.
    pub data: Option<Zeroizing<String>>,
    /// Standard base64 with padding.
    pub bytes: Option<Zeroizing<String>>,
}

impl TryFrom<PayloadFields> for Payload {
    type Error = Error;

    fn try_from(fields: PayloadFields) -> Result<Self> {
        match (fields.value, fields.data, fields.bytes) {
            (Some(mut value), None, None) => Ok(Self::text(std::mem::take(&mut *value))),
            (None, Some(mut data), None) => Self::json(std::mem::take(&mut *data)),
            (None, None, Some(bytes)) => BASE64
                .decode(bytes.as_bytes())
                .map(Self::binary)
                .map_err(|_| Error::invalid("'bytes' is not standard base64.")),
            (None, None, None) => Err(Error::invalid("One of 'value', 'data' and 'bytes' is needed.")),
            _ => Err(Error::invalid("Only one of 'value', 'data' and 'bytes' may be given.")),
        }
    }
}

impl TryFrom<Payload> for PayloadFields {
    type Error = Error;

    /// Fails only on a payload whose bytes are not what its kind says.
    fn try_from(payload: Payload) -> Result<Self> {
        Ok(match payload.kind {
            PayloadKind::Text => Self {
                value: Some(text(payload.bytes)?),
                ..Self::default()
            },
            PayloadKind::Json => Self {
                data: Some(text(payload.bytes)?),
                ..Self::default()
            },
            PayloadKind::Bytes => Self {
                bytes: Some(Zeroizing::new(BASE64.encode(&payload.bytes))),
                ..Self::default()
            },
        })
    }
}

fn text(mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>> {
    String::from_utf8(std::mem::take(&mut *bytes))
        .map(Zeroizing::new)
        .map_err(|error| {
            error.into_bytes().zeroize();
            Error::internal("a text or JSON payload is not UTF-8")
        })
}

impl fmt::Debug for PayloadFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PayloadFields([REDACTED])")
    }
}

/// A payload's fields and those of `T` in one JSON object. Written by hand because serde's `flatten` buffers what it
/// reads, and neither `RawValue` nor `deny_unknown_fields` survives that.
#[derive(Debug)]
pub struct With<T> {
    pub payload: PayloadFields,
    pub fields: T,
}

impl<T> With<T> {
    pub fn new(payload: Payload, fields: T) -> Result<Self> {
        Ok(Self {
            payload: payload.try_into()?,
            fields,
        })
    }
}

#[derive(Serialize)]
struct Flat<'a, T> {
    #[serde(flatten)]
    fields: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<&'a str>,
}

impl<T: Serialize> Serialize for With<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let data = self
            .payload
            .data
            .as_ref()
            .map(|text| serde_json::from_str(text))
            .transpose();
        let flat = Flat {
            fields: &self.fields,
            value: self.payload.value.as_ref().map(|value| value.as_str()),
            data: data.map_err(|_| serde::ser::Error::custom("a JSON payload is not JSON"))?,
            bytes: self.payload.bytes.as_ref().map(|bytes| bytes.as_str()),
        };
        flat.serialize(serializer)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for With<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(WithVisitor(PhantomData))
    }
}

struct WithVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for WithVisitor<T> {
    type Value = With<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let (mut payload, mut rest) = (PayloadFields::default(), Map::new());
        while let Some(key) = map.next_key::<String>()? {
            let seen = match key.as_str() {
                "value" => payload.value.replace(next_string(&mut map)?).is_some(),
                "bytes" => payload.bytes.replace(next_string(&mut map)?).is_some(),
                "data" => {
                    let raw: Box<str> = map.next_value::<Box<RawValue>>()?.into();
                    payload.data.replace(Zeroizing::new(raw.into())).is_some()
                }
                _ => rest.insert(key.clone(), map.next_value::<Value>()?).is_some(),
            };
            if seen {
                return Err(A::Error::custom(format!("duplicate field `{key}`")));
            }
        }
        let fields = T::deserialize(Value::Object(rest)).map_err(|error| A::Error::custom(error.to_string()))?;
        Ok(With { payload, fields })
    }
}

fn next_string<'de, A: MapAccess<'de>>(map: &mut A) -> std::result::Result<Zeroizing<String>, A::Error> {
    map.next_value::<String>().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::WriteSecret;

    fn payload(body: &str) -> Result<Payload> {
        crate::parse::<WriteSecret>(body.as_bytes())?.payload.try_into()
    }

    #[test]
    fn exactly_one_field_makes_a_payload() {
        assert_eq!(payload(r#"{"value":"a"}"#).unwrap().kind, PayloadKind::Text);
        assert_eq!(&**payload(r#"{"bytes":"/wA="}"#).unwrap().bytes, b"\xff\0");
        for (body, wanted) in [
            ("{}", "needed"),
            (r#"{"value":"a","data":{}}"#, "Only one"),
            (r#"{"bytes":"_wA="}"#, "base64"),
            (r#"{"data":null}"#, "object"),
            (r#"{"data":[1]}"#, "object"),
        ] {
            let detail = payload(body).unwrap_err().detail;
            assert!(detail.contains(wanted), "{body}: {detail}");
        }
    }

    #[test]
    fn an_object_keeps_its_bytes_both_ways() {
        let exact = r#"{ "b": 1.0,"a":"\u00e9",  "big": 123456789012345678901234567890 }"#;
        let payload = payload(&format!(r#"{{"cas":3,"data":{exact}}}"#)).unwrap();
        assert_eq!(&**payload.bytes, exact.as_bytes());
        let shown =
            serde_json::to_string(&With::new(payload, crate::secrets::WriteOptions::default()).unwrap()).unwrap();
        assert_eq!(shown, format!(r#"{{"data":{exact}}}"#));
    }

    #[test]
    fn debug_shows_no_value() {
        let request: WriteSecret = crate::parse(br#"{"value":"hunter2","cas":1}"#).unwrap();
        let shown = format!("{request:?}");
        assert!(!shown.contains("hunter2") && shown.contains("cas: Some(1)"), "{shown}");
    }
}
