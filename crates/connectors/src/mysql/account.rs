//! Names and texts as statements take them: what defines a user takes no parameters. The session's `sql_mode` makes a quote the
//! one character that has to be written otherwise.

use std::fmt;

use secrecy::ExposeSecret;
use strongroom_ports::{TargetError, Verifier};

/// A user from anywhere, `'name'@'%'`.
pub(super) struct Account<'a>(&'a str);

impl<'a> Account<'a> {
    /// What the server would take for another name is refused, with the rest.
    pub(super) fn parse(name: &'a str) -> Result<Self, TargetError> {
        checked(name).map(Self)
    }

    pub(super) fn name(&self) -> &'a str {
        self.0
    }

    /// As `SHOW GRANTS` writes it.
    fn shown(&self) -> String {
        format!("{}@`%`", shown(self.0))
    }

    /// A line of `SHOW GRANTS FOR` this one, about `other`, without the password: a statement, or none. A name within the line
    /// cannot be taken for the end of the grant: its own quotes are written twice.
    pub(super) fn handed_to(&self, other: &Account<'_>, line: &str) -> Option<String> {
        let mine = self.shown();
        let found = ["TO", "FOR"].into_iter().find_map(|word| {
            let (what, rest) = line.split_once(&format!(" {word} {mine}"))?;
            Some(format!("{what} {word} {other}")).zip(Some(rest))
        });
        let (given, rest) = found?;
        let rest = match rest.strip_prefix(" IDENTIFIED ") {
            None => rest,
            Some(rest) => {
                let end = rest.find(" REQUIRE ").or_else(|| rest.find(" WITH "));
                end.and_then(|end| rest.get(end..)).unwrap_or_default()
            }
        };
        if given.starts_with("GRANT USAGE ON *.* ") {
            // No right, and only who may hand on all rights may write it as a grant.
            let bounds = (!rest.is_empty()).then(|| format!("ALTER USER {other}{rest}"));
            return Some(bounds.unwrap_or_default());
        }
        Some(given + rest)
    }
}

impl fmt::Display for Account<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@'%'", literal(self.0))
    }
}

/// Of a role, which has no host.
pub(super) fn role(name: &str) -> Result<String, TargetError> {
    checked(name).map(literal)
}

pub(super) fn shown(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The clause that sets a password by what the server keeps of it.
pub(super) fn identified(verifier: &Verifier) -> Result<String, TargetError> {
    let text = verifier.0.expose_secret();
    let digits = text.strip_prefix('*').unwrap_or_default();
    if digits.len() != 40 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(TargetError::Refused("a password that is no mysql_native_password hash"));
    }
    Ok(format!("IDENTIFIED WITH mysql_native_password AS '{text}'"))
}

/// As MariaDB documents it. It takes 128, and then does not find the role of such a user.
const LONGEST: usize = 80;

fn checked(name: &str) -> Result<&str, TargetError> {
    if name.chars().count() > LONGEST {
        return Err(TargetError::Name("MariaDB's names have at most 80 characters"));
    }
    if name.is_empty() {
        return Err(TargetError::Name("an empty one is everybody's at MySQL and MariaDB"));
    }
    if name.ends_with(char::is_whitespace) {
        return Err(TargetError::Name("MySQL and MariaDB cut spaces off its end"));
    }
    if name.len() > 1 && name.starts_with('\'') && name.ends_with('\'') {
        return Err(TargetError::Name(
            "MySQL and MariaDB cut quotes off around it when it logs in",
        ));
    }
    if name.contains('\0') || name.chars().any(|c| c > '\u{ffff}') {
        return Err(TargetError::Name(
            "MySQL's and MariaDB's names hold neither NUL nor characters beyond U+FFFF",
        ));
    }
    Ok(name)
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_is_taken_as_it_is_or_refused(name in "['\"`\\\\;\\-*a-zé☃𐀀\\x00 ]{0,30}") {
            match Account::parse(&name) {
                Ok(account) => {
                    let quoted = account.to_string();
                    let inner = quoted.strip_suffix("@'%'").and_then(|text| text.strip_prefix('\'')?.strip_suffix('\''));
                    let inner = inner.unwrap().replace("''", "\u{1}");
                    prop_assert!(!inner.contains('\''));
                    prop_assert_eq!(inner.replace('\u{1}', "'"), name);
                }
                Err(_) => prop_assert!(
                    name.is_empty() || name.ends_with(' ') || name.starts_with('\'') && name.ends_with('\'') || name.contains('\0') || name.contains('𐀀')
                ),
            }
        }

        #[test]
        fn a_grant_is_handed_on_whatever_it_is_about(
            like in "[a`' ]{1,4}x", object in "[a`' ]{0,3}( TO `[a`' ]{1,4}x`@`%` )?[a`']{0,3}",
        ) {
            let (from, to) = (Account::parse(&like).unwrap(), Account::parse("b").unwrap());
            let grant = format!("GRANT SELECT ON {}.*", shown(&object));
            let line = format!("{grant} TO {} WITH GRANT OPTION", from.shown());
            prop_assert_eq!(from.handed_to(&to, &line), Some(format!("{grant} TO 'b'@'%' WITH GRANT OPTION")));
        }
    }

    #[test]
    fn a_password_is_not_handed_on() {
        let (from, to) = (Account::parse("app").unwrap(), Account::parse("app_b").unwrap());
        let hash = format!("IDENTIFIED BY PASSWORD '*{}'", "A".repeat(40));
        for (line, handed) in [
            (format!("GRANT USAGE ON *.* TO `app`@`%` {hash}"), ""),
            (
                format!("GRANT USAGE ON *.* TO `app`@`%` {hash} REQUIRE SSL WITH MAX_USER_CONNECTIONS 3"),
                "ALTER USER 'app_b'@'%' REQUIRE SSL WITH MAX_USER_CONNECTIONS 3",
            ),
            (
                format!("GRANT ALL PRIVILEGES ON *.* TO `app`@`%` {hash} WITH GRANT OPTION"),
                "GRANT ALL PRIVILEGES ON *.* TO 'app_b'@'%' WITH GRANT OPTION",
            ),
            ("GRANT `role` TO `app`@`%`".into(), "GRANT `role` TO 'app_b'@'%'"),
            (
                "SET DEFAULT ROLE `role` FOR `app`@`%`".into(),
                "SET DEFAULT ROLE `role` FOR 'app_b'@'%'",
            ),
        ] {
            assert_eq!(from.handed_to(&to, &line).as_deref(), Some(handed));
        }
        assert_eq!(from.handed_to(&to, "GRANT SELECT ON *.* TO `other`@`%`"), None);
    }

    #[test]
    fn a_password_in_clear_is_refused() {
        for text in ["hunter2", "*1234", "' OR 1", &format!("*{}'", "A".repeat(39))] {
            assert!(identified(&Verifier(text.into())).is_err(), "{text}");
        }
        assert!(identified(&Verifier(format!("*{}", "A9".repeat(20)).into())).is_ok());
    }
}
