//! Which variables the secrets of a folder become.
//!
//! - a text secret is one variable: its name as it is where that is a variable's name (`[A-Za-z_][A-Za-z0-9_]*`), or
//!   else in upper case with `_` for every other character, and with a `_` before a leading digit;
//! - a JSON object is one variable a field, `<NAME>_<FIELD>` by the same rule: strings as they are, the rest as JSON;
//! - binary secrets become none.

use std::collections::BTreeMap;
use std::fmt;

use strongroom_domain::{Payload, PayloadKind, SecretPath};
use zeroize::Zeroizing;

use super::field;

#[derive(Default)]
pub(super) struct Environment {
    variables: BTreeMap<String, Variable>,
    /// Paths of binary secrets.
    pub(super) skipped: Vec<String>,
}

struct Variable {
    value: Zeroizing<String>,
    /// `path` or `path#field`.
    source: String,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// Why secrets make no environment, naming paths and never values.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("{first} and {second} would both be the variable {variable}.")]
    Clash {
        variable: String,
        first: String,
        second: String,
    },
    #[error("{0} holds a NUL byte, which no variable can.")]
    Nul(String),
    #[error("{0} cannot be read as what it says it is.")]
    Broken(String),
}

impl Environment {
    /// From the secrets of one folder.
    pub(super) fn of_folder(secrets: impl IntoIterator<Item = (SecretPath, Payload)>) -> Result<Self, Refused> {
        let mut environment = Self::default();
        for (path, payload) in secrets {
            environment.add_secret(&path, &payload)?;
        }
        Ok(environment)
    }

    pub(super) fn add_secret(&mut self, path: &SecretPath, payload: &Payload) -> Result<(), Refused> {
        match payload.kind {
            PayloadKind::Text => {
                let value = std::str::from_utf8(&payload.bytes).map_err(|_| Refused::Broken(path.to_string()))?;
                self.add(path.name(), Zeroizing::new(value.to_owned()), path.to_string())
            }
            PayloadKind::Json => self.add_fields(path, &payload.bytes),
            PayloadKind::Bytes => {
                self.skipped.push(path.to_string());
                Ok(())
            }
        }
    }

    /// With another folder's over these.
    pub(super) fn overlay(&mut self, later: Self) {
        self.variables.extend(later.variables);
        self.skipped.extend(later.skipped);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .map(|(name, variable)| (name.as_str(), variable.value.as_str()))
    }

    fn add_fields(&mut self, path: &SecretPath, object: &[u8]) -> Result<(), Refused> {
        let object = std::str::from_utf8(object).ok();
        let fields = object.and_then(field::all);
        for (key, value) in fields.ok_or_else(|| Refused::Broken(path.to_string()))? {
            self.add(
                &format!("{}_{key}", path.name()),
                field::text(value),
                format!("{path}#{key}"),
            )?;
        }
        Ok(())
    }

    /// One value; `source` says where it came from. The name becomes a variable's name.
    pub(super) fn add(&mut self, name: &str, value: Zeroizing<String>, source: String) -> Result<(), Refused> {
        if value.contains('\0') {
            return Err(Refused::Nul(source));
        }
        let variable = variable_name(name);
        if let Some(other) = self.variables.get(&variable) {
            return Err(Refused::Clash {
                variable,
                first: other.source.clone(),
                second: source,
            });
        }
        self.variables.insert(variable, Variable { value, source });
        Ok(())
    }
}

pub(super) fn variable_name(name: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let leading_digit = name.starts_with(|c: char| c.is_ascii_digit());
    if name.chars().all(is_part) && !leading_digit {
        return name.to_owned();
    }
    let upper = name
        .chars()
        .map(|c| if is_part(c) { c.to_ascii_uppercase() } else { '_' });
    leading_digit.then_some('_').into_iter().chain(upper).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(secrets: &[(&str, &str)]) -> Result<Environment, Refused> {
        Environment::of_folder(secrets.iter().map(|(path, value)| {
            let payload = if value.starts_with('{') {
                Payload::json((*value).to_owned()).unwrap()
            } else {
                Payload::text((*value).to_owned())
            };
            (SecretPath::parse(path).unwrap(), payload)
        }))
    }

    #[test]
    fn names() {
        for (name, wanted) in [
            ("DB_URL", "DB_URL"),
            ("db", "db"),
            ("api-key", "API_KEY"),
            ("2fa", "_2FA"),
            ("2-fa", "_2_FA"),
            ("a.b c", "A_B_C"),
            ("schlüssel", "SCHL_SSEL"),
        ] {
            assert_eq!(variable_name(name), wanted);
        }
    }

    #[test]
    fn objects_become_a_variable_a_field() {
        let environment = of(&[
            ("p/db", r#"{"user":"ü\n","port":5432,"o":{ "a": 1 },"x-y":null}"#),
            ("p/token", "t"),
        ])
        .unwrap();
        let pairs: Vec<(&str, &str)> = environment.iter().collect();
        assert_eq!(
            pairs,
            [
                ("DB_X_Y", "null"),
                ("db_o", r#"{ "a": 1 }"#),
                ("db_port", "5432"),
                ("db_user", "ü\n"),
                ("token", "t")
            ]
        );
        assert!(!format!("{environment:?}").contains("5432"));
    }

    #[test]
    fn refusals_name_both_paths_and_no_value() {
        let clash = of(&[("p/api-key", "hunter2"), ("p/API_KEY", "hunter2")])
            .unwrap_err()
            .to_string();
        assert_eq!(clash, "p/api-key and p/API_KEY would both be the variable API_KEY.");
        let clash = of(&[("p/a", r#"{"b":"1"}"#), ("p/a_b", "2")]).unwrap_err().to_string();
        assert_eq!(clash, "p/a#b and p/a_b would both be the variable a_b.");
        assert_eq!(of(&[("p/a", "x\0hunter2")]).unwrap_err(), Refused::Nul("p/a".into()));
        assert_eq!(
            of(&[("p/a", r#"{"b":"\u0000"}"#)]).unwrap_err(),
            Refused::Nul("p/a#b".into())
        );
    }

    #[test]
    fn later_folders_win_and_bytes_are_skipped() {
        let mut environment = of(&[("p/a", "1"), ("p/b", "1")]).unwrap();
        environment.overlay(of(&[("q/b", "2")]).unwrap());
        assert_eq!(environment.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        let bytes = [(SecretPath::parse("p/bin").unwrap(), Payload::binary(vec![0]))];
        let environment = Environment::of_folder(bytes).unwrap();
        assert_eq!(
            (environment.iter().count(), environment.skipped),
            (0, vec!["p/bin".to_owned()])
        );
    }

    proptest! {
        #[test]
        fn every_name_becomes_a_variable_name_and_stays_one(name in "[^/]{1,20}") {
            let variable = variable_name(&name);
            prop_assert!(variable.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'));
            prop_assert!(variable.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
            prop_assert_eq!(variable_name(&variable), variable);
        }

        #[test]
        fn text_comes_through_unchanged(value in "[^\0{][^\0]{0,40}") {
            let environment = of(&[("p/a", &value)]).unwrap();
            prop_assert_eq!(environment.iter().next(), Some(("a", value.as_str())));
        }
    }
}
