//! Names and texts as statements take them: what defines a role takes no parameters.

use postgres_protocol::escape::{escape_identifier, escape_literal};
use secrecy::ExposeSecret;
use strongroom_ports::{TargetError, Verifier};

/// PostgreSQL cuts a longer name off, and says so in a notice only.
const LONGEST: usize = 63;

pub(super) fn identifier(name: &str) -> Result<String, TargetError> {
    if name.is_empty() || name.len() > LONGEST {
        return Err(TargetError::Name("PostgreSQL's names have 1 to 63 bytes"));
    }
    if name.contains('\0') {
        return Err(TargetError::Name("PostgreSQL's names hold no NUL"));
    }
    Ok(escape_identifier(name))
}

/// A setting's name, which may have parts.
pub(super) fn setting(name: &str) -> Result<String, TargetError> {
    let parts: Result<Vec<_>, _> = name.split('.').map(identifier).collect();
    Ok(parts?.join("."))
}

/// Of a text that the server gave, or a name that was taken as one: neither holds a NUL.
pub(super) fn literal(text: &str) -> String {
    escape_literal(text).trim_start().to_owned()
}

/// The clause that sets one. PostgreSQL takes what is no verifier for a password, and hashes it.
pub(super) fn password(verifier: &Verifier) -> Result<String, TargetError> {
    let text = verifier.0.expose_secret();
    if !text.starts_with("SCRAM-SHA-256$") || text.contains('\0') {
        return Err(TargetError::Refused("a password that is no SCRAM verifier"));
    }
    Ok(format!("PASSWORD {}", literal(text)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What PostgreSQL's scanner makes of it (`scan.l`): nothing ends the name but a quote that is alone.
    fn scanned(quoted: &str) -> Option<String> {
        let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
        let name = inner.replace("\"\"", "\u{1}");
        (!name.contains('"')).then(|| name.replace('\u{1}', "\""))
    }

    proptest! {
        #[test]
        fn a_name_is_taken_as_it_is_or_refused(name in "[\"'\\\\;\\-/*a-zA-Zé☃𐀀\\x00 \n]{0,40}") {
            match identifier(&name) {
                Ok(quoted) => prop_assert_eq!(scanned(&quoted), Some(name)),
                Err(_) => prop_assert!(name.is_empty() || name.len() > LONGEST || name.contains('\0')),
            }
        }

        #[test]
        fn a_text_ends_where_it_ends(text in "[\"'\\\\;a-zé☃ \n]{0,40}") {
            let quoted = literal(&text);
            let inner = quoted.strip_prefix('E').unwrap_or(&quoted);
            let inner = inner.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap();
            let plain = if quoted.starts_with('E') { inner.replace("\\\\", "\\") } else { inner.to_owned() };
            prop_assert_eq!(quoted.starts_with('E'), text.contains('\\'));
            prop_assert_eq!(plain.replace("''", "'"), text);
        }
    }

    #[test]
    fn a_name_has_63_bytes() {
        assert!(identifier(&"é".repeat(31)).is_ok() && identifier(&"x".repeat(63)).is_ok());
        assert!(identifier(&"é".repeat(32)).is_err() && identifier(&"x".repeat(64)).is_err());
        assert_eq!(setting("my.path").unwrap(), "\"my\".\"path\"");
    }

    #[test]
    fn a_password_in_clear_is_refused() {
        for text in ["hunter2", "md5aabbccddeeff00112233445566778899", "SCRAM-SHA-256$\0"] {
            assert!(password(&Verifier(text.into())).is_err(), "{text:?}");
        }
        assert!(password(&Verifier("SCRAM-SHA-256$4096:a$b:c".into())).is_ok());
    }
}
