//! A line of the access list, and the rules that make another of it.

use secrecy::ExposeSecret;
use strongroom_ports::{TargetError, Verifier};

/// Stands among the passwords of one that was made to take turns with another. It is the hash of nothing that is known, and so gives
/// nothing; every version keeps it.
const OURS: &str = "#7374726f6e67726f6f6d3a207365636f6e64206f662074776f20757365727300";

pub(super) struct User {
    pub(super) name: String,
    is_on: bool,
    pub(super) is_ours: bool,
    /// Hashes of its passwords with the `#` before each, the newest last.
    passwords: Vec<String>,
    /// What it may; neither passwords nor whether it is let in.
    rights: Vec<String>,
}

impl User {
    /// As `ACL LIST` has it: neither a name nor a rule holds a space, and rules in parentheses may be given in pieces.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("user ")?.split(' ');
        let name = words.next()?.to_owned();
        let (mut is_on, mut is_ours) = (false, false);
        let (mut passwords, mut rights) = (Vec::new(), Vec::new());
        for word in words.filter(|word| !word.is_empty()) {
            match word {
                "on" => is_on = true,
                // The last is what everybody has who is made.
                "off" | "nopass" | "sanitize-payload" => {}
                OURS => is_ours = true,
                hash if hash.starts_with('#') => passwords.push(hash.to_owned()),
                right => rights.push(right.to_owned()),
            }
        }
        Some(Self {
            name,
            is_on,
            is_ours,
            passwords,
            rights,
        })
    }

    /// The rules that give it this password, beside the one that it had last.
    pub(super) fn with(&self, hash: &str) -> Vec<String> {
        let mut rules = vec!["resetpass".to_owned()];
        rules.extend(self.kept(hash));
        rules
    }

    /// The same, and what another may instead of what it may.
    pub(super) fn with_rights(&self, hash: &str, like: &Self) -> Vec<String> {
        let mut rules = like.off();
        rules.extend(self.kept(hash));
        rules.extend(self.is_on.then(|| "on".to_owned()));
        rules
    }

    fn kept(&self, hash: &str) -> Vec<String> {
        let ours = self.is_ours.then_some(OURS);
        let before = self
            .passwords
            .iter()
            .map(String::as_str)
            .rfind(|&password| password != hash);
        ours.into_iter()
            .chain(before)
            .chain([hash])
            .map(str::to_owned)
            .collect()
    }

    /// The rules of one that takes turns with it.
    pub(super) fn second(&self, hash: &str) -> Vec<String> {
        let mut rules = self.another(hash);
        rules.push(OURS.to_owned());
        rules
    }

    /// The rules of one that may the same, and is let in by this password.
    pub(super) fn another(&self, hash: &str) -> Vec<String> {
        let mut rules = self.off();
        rules.extend([hash.to_owned(), "on".to_owned()]);
        rules
    }

    /// The rules of one that may the same, and is not let in.
    pub(super) fn off(&self) -> Vec<String> {
        let mut rules = vec!["reset".to_owned()];
        rules.extend(self.rights.iter().cloned());
        rules
    }

    pub(super) fn may_as(&self, other: &Self) -> bool {
        self.rights == other.rights
    }

    /// Its rules about commands, by whether each gives or takes: those of its own, and apart from them those within each pair of
    /// parentheses, where nothing of what stands outside counts.
    pub(super) fn rules(&self) -> impl Iterator<Item = impl Iterator<Item = (bool, &str)>> {
        let parts = self.rights.chunk_by(|_, next| !next.starts_with('('));
        parts.map(|part| part.iter().filter_map(|right| rule(right)))
    }
}

fn rule(right: &str) -> Option<(bool, &str)> {
    let right = right.trim_start_matches('(').trim_end_matches(')');
    let given = right.strip_prefix('+').map(|what| (true, what));
    given.or_else(|| right.strip_prefix('-').map(|what| (false, what)))
}

pub(super) fn name(name: &str) -> Result<&str, TargetError> {
    if name.is_empty() || name.contains('\0') || name.contains(|c: char| c.is_ascii_whitespace() || c == '\u{b}') {
        return Err(TargetError::Name(
            "Redis's names hold neither spaces nor NUL, and are not empty",
        ));
    }
    Ok(name)
}

/// The rule that adds a password by its hash, which is the verifier as it is.
pub(super) fn hash(verifier: &Verifier) -> Result<&str, TargetError> {
    let text = verifier.0.expose_secret();
    let digits = text.strip_prefix('#').unwrap_or_default();
    let hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != 64 || !digits.bytes().all(hexadecimal) {
        return Err(TargetError::Refused("a password that is no SHA-256 in lower case"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_do_not_go_over_to_another_and_the_last_one_stays() {
        let (a, b, c) = ("a".repeat(64), "b".repeat(64), "c".repeat(64));
        let line = format!(
            "user app on nopass sanitize-payload #{a} #{b} ~cache:* resetchannels &news -@all +get (%R~x +get)"
        );
        let user = User::parse(&line).unwrap();
        assert_eq!(user.name, "app");
        assert_eq!(
            user.with(&format!("#{c}")),
            ["resetpass", &format!("#{b}"), &format!("#{c}")]
        );
        assert_eq!(
            user.with(&format!("#{b}")),
            ["resetpass", &format!("#{a}"), &format!("#{b}")]
        );
        assert_eq!(
            user.with(&format!("#{a}")),
            ["resetpass", &format!("#{b}"), &format!("#{a}")]
        );
        let rights = ["~cache:*", "resetchannels", "&news", "-@all", "+get", "(%R~x", "+get)"];
        assert_eq!(user.off(), [&["reset"], rights.as_slice()].concat());
        assert_eq!(
            user.another("#d"),
            [&["reset"], rights.as_slice(), &["#d", "on"]].concat()
        );
        assert_eq!(
            user.second("#d"),
            [&["reset"], rights.as_slice(), &["#d", "on", OURS]].concat()
        );
        assert!(User::parse("app on").is_none());
    }

    #[test]
    fn a_second_user_follows_the_first_and_stays_ours_and_off() {
        let first = User::parse("user app on ~* resetchannels -@all +get +set").unwrap();
        for is_on in [true, false] {
            let line = format!(
                "user app_b {} sanitize-payload {OURS} #a #b ~x resetchannels -@all +get",
                if is_on { "on" } else { "off" }
            );
            let second = User::parse(&line).unwrap();
            assert!(second.is_ours && !second.may_as(&first));
            assert_eq!(second.with("#c"), ["resetpass", OURS, "#b", "#c"]);
            let followed = [
                "reset",
                "~*",
                "resetchannels",
                "-@all",
                "+get",
                "+set",
                OURS,
                "#a",
                "#b",
            ];
            let on = ["on"].iter().filter(|_| is_on);
            let followed: Vec<_> = followed.iter().chain(on).copied().collect();
            assert_eq!(second.with_rights("#b", &first), followed);
        }
    }

    #[test]
    fn what_is_no_name_and_no_hash_is_refused() {
        for bad in ["", "a b", "a\tb", "a\u{b}b", "a\nb", "a\0b", " "] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        assert!(name("é☃𐀀'\"\\").is_ok());
        for bad in ["hunter2", &format!("#{}", "A".repeat(64)), &"a".repeat(65)] {
            assert!(hash(&Verifier(bad.into())).is_err(), "{bad}");
        }
    }
}
