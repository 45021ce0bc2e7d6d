//! What names a denial: the entry that it is on record as, and which capability was missing, which the entry does not say.

use std::fmt;

use super::EntryId;
use crate::policy::Capability;

/// Written as `boot.lane.number.place.capability`; without the last where no policy decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denial {
    pub entry: EntryId,
    pub missing: Option<Capability>,
}

impl Denial {
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(entry) = EntryId::parse(text) {
            return Some(Self { entry, missing: None });
        }
        let (entry, missing) = text.rsplit_once('.')?;
        Some(Self {
            entry: EntryId::parse(entry)?,
            missing: Some(Capability::granted(missing)?),
        })
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.missing {
            Some(missing) => write!(f, "{}.{}", self.entry, missing.name()),
            None => self.entry.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{BatchId, Lane};

    #[test]
    fn a_denial_has_one_name() {
        let entry = EntryId {
            batch: BatchId::new(3, Lane::Events, 8),
            place: 2,
        };
        for (missing, text) in [(None, "3.2.8.2"), (Some(Capability::Read), "3.2.8.2.read")] {
            let denial = Denial { entry, missing };
            assert_eq!(denial.to_string(), text);
            assert_eq!(Denial::parse(text), Some(denial));
        }
        for other in [
            "",
            "3.2.8",
            "3.2.8.2.",
            "3.2.8.2.deny",
            "3.2.8.2.read.read",
            "3.2.8.2.READ",
        ] {
            assert_eq!(Denial::parse(other), None, "{other}");
        }
    }
}
