//! Flags as variables of the environment: the key `new-checkout` and `FEATURE_NEW_CHECKOUT`.

use strongroom_domain::flag::FlagKey;

use crate::client::failure::Failure;

/// What stands behind the prefix, in lower case, with `-` for `_`; none: the prefix does not fit.
pub(super) fn key(prefix: &str, variable: &str) -> Option<Result<FlagKey, Failure>> {
    let name = variable.strip_prefix(prefix)?;
    let key = name.to_ascii_lowercase().replace('_', "-");
    Some(FlagKey::parse(&key).map_err(Failure::from))
}

/// Upper case behind the prefix, with `_` for every other character.
pub(super) fn variable(prefix: &str, key: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric();
    let name = key
        .chars()
        .map(|c| if is_part(c) { c.to_ascii_uppercase() } else { '_' });
    prefix.chars().chain(name).collect()
}

/// A prefix that variables can have.
pub(super) fn prefix(text: &str) -> Result<String, String> {
    let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if fits && !text.starts_with(|c: char| c.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err("it is letters, digits and '_', and begins with no digit".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_and_variables() {
        let key = |variable| key("FEATURE_", variable).map(|key| key.ok().map(|key| key.to_string()));
        assert_eq!(key("FEATURE_NEW_CHECKOUT"), Some(Some("new-checkout".into())));
        assert_eq!(key("FEATURE_"), Some(None));
        assert_eq!(key("FEATURE__X"), Some(None));
        assert_eq!(key("OTHER"), None);
        assert_eq!(variable("FEATURE_", "new-checkout"), "FEATURE_NEW_CHECKOUT");
        assert_eq!(variable("", "a.b_c-D"), "A_B_C_D");
        for (text, fits) in [
            ("", true),
            ("FEATURE_", true),
            ("f2", true),
            ("2f", false),
            ("a-b", false),
            ("ü", false),
        ] {
            assert_eq!(prefix(text).is_ok(), fits, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_variable_comes_back(name in "[A-Z0-9][A-Z0-9_]{0,20}", prefix in "([A-Z_][A-Z0-9_]{0,8})?") {
            let whole = format!("{prefix}{name}");
            let key = key(&prefix, &whole).unwrap().unwrap();
            prop_assert_eq!(variable(&prefix, key.as_str()), whole);
        }
    }
}
