//! JSON written as YAML. Every string is quoted: readers disagree about which bare words are numbers, dates or truths. Read are
//! only the words of YAML 1.2, so that the variant `on` stays one.

use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::field;

/// What a JSON text says, as a YAML document; `None` where it is no JSON.
pub(super) fn of_json(json: &str) -> Option<Zeroizing<String>> {
    let node = Node(serde_json::from_str(json).ok()?);
    // Room enough that it hardly grows, and leaves a copy behind.
    let mut yaml = Zeroizing::new(String::with_capacity(json.len() * 2));
    let options = serde_saphyr::ser_options! { quote_all: true };
    serde_saphyr::to_fmt_writer_with_options(&mut *yaml, &node, options).ok()?;
    Some(yaml)
}

/// What a YAML document says. A mistake is told with its place, and without what stands there.
pub(super) fn read(yaml: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! { strict_booleans: true, with_snippet: false };
    serde_saphyr::from_str_with_options(yaml, options).map_err(|error| {
        let place = error.location();
        place.map_or_else(
            || "It is neither JSON nor YAML.".to_owned(),
            |place| {
                format!(
                    "It is neither JSON nor YAML: see line {} column {}.",
                    place.line(),
                    place.column()
                )
            },
        )
    })
}

struct Node<'a>(&'a RawValue);

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = self.0.get();
        let broken = || S::Error::custom("a JSON value is broken");
        match json.bytes().next() {
            Some(b'{') => {
                let fields = field::all(json).ok_or_else(broken)?;
                serializer.collect_map(fields.into_iter().map(|(name, field)| (name, Node(field))))
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(json).map_err(S::Error::custom)?;
                serializer.collect_seq(items.into_iter().map(Node))
            }
            Some(b'"') => serializer.serialize_str(&field::text(self.0)),
            Some(b't') => serializer.serialize_bool(true),
            Some(b'f') => serializer.serialize_bool(false),
            Some(b'n') => serializer.serialize_unit(),
            _ => number(json, serializer),
        }
    }
}

/// One that no usual number type holds is shown as text: a reader would get another number.
fn number<S: Serializer>(json: &str, serializer: S) -> Result<S::Ok, S::Error> {
    if let Ok(number) = json.parse::<i64>() {
        return serializer.serialize_i64(number);
    }
    if let Ok(number) = json.parse::<u64>() {
        return serializer.serialize_u64(number);
    }
    match json.parse::<f64>() {
        Ok(number) if number.is_finite() && json.contains(['.', 'e', 'E']) => serializer.serialize_f64(number),
        _ => serializer.serialize_str(json),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn yaml(json: &str) -> String {
        of_json(json).unwrap().to_string()
    }

    #[test]
    fn words_stay_words_and_numbers_numbers() {
        let json = r#"{"a":"no","b":["1_000","12:30:45",7,1.50,true,null],"c":{},"d":18446744073709551616,"e":1e999}"#;
        let wanted = "a: 'no'\nb:\n- '1_000'\n- '12:30:45'\n- 7\n- 1.5\n- true\n- null\nc: {}\n\
                      d: '18446744073709551616'\ne: '1e999'\n";
        assert_eq!(yaml(json), wanted);
        assert_eq!(yaml(r#""it's\n""#), "\"it's\\n\"\n");
        assert_eq!(yaml(r#"{"no":1}"#), "\"no\": 1\n");
        assert!(of_json("{").is_none());
    }

    fn values() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            any::<String>().prop_map(Value::from),
            "[-~01yYnNo:.#&*!|>'\" \n\t]{0,6}".prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::Null),
        ];
        scalar.prop_recursive(4, 24, 4, |inner| {
            let names = prop_oneof![any::<String>(), "[-~01yYnNo:# \n]{0,4}"];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(names, inner, 0..4).prop_map(|fields| serde_json::json!(fields)),
            ]
        })
    }

    #[test]
    fn bare_words_are_those_of_yaml_1_2() {
        let text = "on: true\noff: false\nyes: no\nn: 1\nx: off\ny: \"1\"\nz: 1.0\nlist: [on, {var: a}]\n";
        let wanted = json!({
            "on": true, "off": false, "yes": "no", "n": 1, "x": "off", "y": "1", "z": 1.0, "list": ["on", { "var": "a" }],
        });
        assert_eq!(read(text).unwrap(), wanted);
        let mistake = read("a: 1\nb: [hunter2\n").unwrap_err();
        assert!(mistake.contains("line ") && !mistake.contains("hunter2"), "{mistake}");
        assert!(read("a: 1\na: 2\n").is_err());
    }

    proptest! {
        #[test]
        fn any_json_comes_back(value in values()) {
            let yaml = yaml(&value.to_string());
            prop_assert_eq!(read(&yaml).unwrap(), value, "{}", yaml);
        }
    }
}
