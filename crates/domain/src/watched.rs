//! What watchers are shown: the one table from the kind of a record that changed to what they call it. A record's name is
//! its path, and `kind/path` is where policies say who may see it.

use crate::{Kind, Prefix, Touch};

const WATCHED: [(Kind, &str); 2] = [(Kind::Secret, "secret"), (Kind::Flag, "flag")];

/// All that watchers can be shown of, by name.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    WATCHED.iter().map(|(_, name)| *name)
}

/// A change as watchers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// What it is, and `/` behind it: the start of [`Self::whole`].
    kind: &'static str,
    /// `secret/payments/prod/api-key`: what a policy would name.
    whole: String,
}

impl Watched {
    /// None: nobody is shown changes of its kind.
    pub fn of(touch: &Touch) -> Option<Self> {
        let (_, kind) = WATCHED.iter().find(|(kind, _)| *kind == touch.key.kind)?;
        Some(Self {
            kind,
            whole: format!("{kind}/{}", touch.key.name),
        })
    }

    pub fn kind(&self) -> &'static str {
        self.kind
    }

    pub fn path(&self) -> &str {
        self.whole.get(self.kind.len() + 1..).unwrap_or_default()
    }

    /// Where policies say who may see it.
    pub fn policy_path(&self) -> &str {
        &self.whole
    }

    /// The folder of that, with its `/`.
    pub fn policy_folder(&self) -> &str {
        self.whole
            .rfind('/')
            .and_then(|at| self.whole.get(..=at))
            .unwrap_or_default()
    }

    /// Whether it is this name, or below it.
    pub fn is_within(&self, prefix: &Prefix) -> bool {
        match self.path().strip_prefix(prefix.as_str()) {
            Some(rest) => prefix.as_str().is_empty() || rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Key;
    use crate::{NamespaceId, Revision};

    fn touch(kind: Kind, name: &str) -> Touch {
        Touch {
            revision: Revision(1),
            key: Key::new(NamespaceId([1; 16]), kind, name),
            version: None,
            action: 20,
        }
    }

    #[test]
    fn values_are_watched_and_what_grants_is_not() {
        let watched = Watched::of(&touch(Kind::Secret, "payments/prod/api-key")).unwrap();
        assert_eq!((watched.kind(), watched.path()), ("secret", "payments/prod/api-key"));
        assert_eq!(watched.policy_path(), "secret/payments/prod/api-key");
        assert_eq!(watched.policy_folder(), "secret/payments/prod/");
        assert_eq!(
            Watched::of(&touch(Kind::Secret, "top")).unwrap().policy_folder(),
            "secret/"
        );
        let flag = Watched::of(&touch(Kind::Flag, "shop/prod/new-checkout")).unwrap();
        assert_eq!((flag.kind(), flag.policy_folder()), ("flag", "flag/shop/prod/"));
        for kind in Kind::ALL
            .iter()
            .filter(|kind| !matches!(kind, Kind::Secret | Kind::Flag))
        {
            assert_eq!(Watched::of(&touch(*kind, "a")), None, "{kind:?}");
        }
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        let watched = Watched::of(&touch(Kind::Secret, "payments/prod/api-key")).unwrap();
        for (prefix, within) in [
            ("", true),
            ("payments", true),
            ("payments/", true),
            ("payments/prod", true),
            ("payments/prod/api-key", true),
            ("payments/pro", false),
            ("payments/prod/api", false),
            ("payments/prod/api-key/below", false),
            ("secret", false),
        ] {
            assert_eq!(watched.is_within(&Prefix::parse(prefix).unwrap()), within, "{prefix}");
        }
    }
}
