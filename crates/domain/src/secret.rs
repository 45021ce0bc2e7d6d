//! A secret's head and what may become of it. Pure: rows in, a new head out.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metadata::Metadata;
use crate::{Code, Digest, Error, PrincipalId, Result, Time};

pub const CURRENT: &str = "current";
pub const PREVIOUS: &str = "previous";
pub const PENDING: &str = "pending";

/// Labels a secret may carry besides the three of ours.
pub const MAX_USER_LABELS: usize = 16;
/// Versions a head keeps. Pruning comes with `max_versions`; until then this bounds the row.
pub const MAX_VERSIONS: usize = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Live,
    Deleted,
    Destroyed,
}

/// What the head keeps of one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionEntry {
    pub number: i64,
    pub id: String,
    /// Of the version's row.
    pub digest: Digest,
    pub state: State,
    pub created_at: Time,
    pub created_by: PrincipalId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Time>,
}

/// The body of a secret's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number the next version takes.
    pub next: i64,
    pub labels: BTreeMap<String, i64>,
    /// Ascending by number.
    pub versions: Vec<VersionEntry>,
    #[serde(default)]
    pub metadata: Metadata,
    pub created_at: Time,
    pub updated_at: Time,
}

/// Which version a read asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selector {
    Version(i64),
    Label(Cow<'static, str>),
}

impl Default for Selector {
    fn default() -> Self {
        Self::Label(Cow::Borrowed(CURRENT))
    }
}

/// A version about to be written.
#[derive(Debug, Clone)]
pub struct NewVersion {
    pub id: String,
    pub digest: Digest,
    pub by: PrincipalId,
    /// Compared with the number under `current`; 0: none.
    pub cas: Option<i64>,
    /// Where the new version's labels go; `None`: `current`.
    pub labels: Option<Vec<String>>,
}

impl Head {
    pub fn new(now: Time) -> Self {
        Self {
            next: 1,
            labels: BTreeMap::new(),
            versions: Vec::new(),
            metadata: Metadata::default(),
            created_at: now,
            updated_at: now,
        }
    }

    /// The number under `current`; 0: none.
    pub fn current(&self) -> i64 {
        self.labels.get(CURRENT).copied().unwrap_or(0)
    }

    pub fn labels_of(&self, number: i64) -> Vec<String> {
        self.labels
            .iter()
            .filter(|(_, at)| **at == number)
            .map(|(label, _)| label.clone())
            .collect()
    }

    pub fn entry(&self, number: i64) -> Option<&VersionEntry> {
        self.versions
            .binary_search_by_key(&number, |entry| entry.number)
            .ok()
            .and_then(|at| self.versions.get(at))
    }

    pub fn entry_by_id(&self, id: &str) -> Option<&VersionEntry> {
        self.versions.iter().find(|entry| entry.id == id)
    }

    /// The live version that `selector` names.
    pub fn select(&self, selector: &Selector) -> Result<&VersionEntry> {
        let number = match selector {
            Selector::Version(number) => *number,
            Selector::Label(label) => *self.labels.get(label.as_ref()).ok_or_else(|| {
                Error::new(
                    Code::NotFound,
                    if label == CURRENT {
                        "The secret has no current version."
                    } else {
                        "No version has this label."
                    },
                )
            })?,
        };
        let entry = self
            .entry(number)
            .ok_or_else(|| Error::new(Code::NotFound, "There is no such version."))?;
        match entry.state {
            State::Live => Ok(entry),
            State::Deleted => Err(Error::new(
                Code::Deleted,
                format!("Version {number} is deleted; undelete brings it back."),
            )),
            State::Destroyed => Err(Error::new(Code::Destroyed, format!("Version {number} is destroyed."))),
        }
    }

    pub fn check_cas(&self, cas: Option<i64>) -> Result<()> {
        match cas {
            Some(cas) if cas != self.current() => {
                let current = self.current();
                Err(Error::new(
                    Code::CasMismatch,
                    format!("'cas' is {cas}, and the current version is {current}."),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Adds a version under the next number and moves its labels there.
    pub fn put(&mut self, new: NewVersion, now: Time) -> Result<i64> {
        self.check_cas(new.cas)?;
        if self.versions.len() >= MAX_VERSIONS {
            return Err(Error::new(
                Code::LimitReached,
                format!("The secret has {MAX_VERSIONS} versions already."),
            ));
        }
        let number = self.next;
        self.next += 1;
        self.versions.push(VersionEntry {
            number,
            id: new.id,
            digest: new.digest,
            state: State::Live,
            created_at: now,
            created_by: new.by,
            deleted_at: None,
        });
        for label in new.labels.unwrap_or_else(|| vec![CURRENT.into()]) {
            self.set_label(&label, number)?;
        }
        self.updated_at = now;
        Ok(number)
    }

    /// Moves a label; `previous` goes where `current` was.
    pub fn move_label(&mut self, label: &str, number: i64, now: Time) -> Result<()> {
        let entry = self
            .entry(number)
            .ok_or_else(|| Error::new(Code::NotFound, "There is no such version."))?;
        if entry.state == State::Destroyed {
            return Err(Error::new(Code::Destroyed, format!("Version {number} is destroyed.")));
        }
        self.set_label(label, number)?;
        self.updated_at = now;
        Ok(())
    }

    fn set_label(&mut self, label: &str, number: i64) -> Result<()> {
        check_label(label)?;
        if label == CURRENT {
            match self.labels.get(CURRENT) {
                Some(old) if *old != number => {
                    self.labels.insert(PREVIOUS.into(), *old);
                }
                _ => {}
            }
        }
        self.labels.insert(label.into(), number);
        let users = self.labels.keys().filter(|label| !is_ours(label)).count();
        if users > MAX_USER_LABELS {
            return Err(Error::new(
                Code::LimitReached,
                format!("A secret has at most {MAX_USER_LABELS} labels of its users."),
            ));
        }
        Ok(())
    }

    pub fn remove_label(&mut self, label: &str, now: Time) -> Result<()> {
        if label == CURRENT {
            return Err(Error::new(
                Code::Conflict,
                "The label 'current' can be moved, not removed.",
            ));
        }
        self.labels
            .remove(label)
            .ok_or_else(|| Error::new(Code::NotFound, "No version has this label."))?;
        self.updated_at = now;
        Ok(())
    }

    /// Deletes the current version, recoverably; it keeps its label.
    pub fn delete_current(&mut self, now: Time) -> Result<i64> {
        let number = self.select(&Selector::default())?.number;
        self.set_state(number, State::Deleted, Some(now));
        self.updated_at = now;
        Ok(number)
    }

    /// Undeletes the versions named. One that is live already stays so; one destroyed refuses the whole.
    pub fn undelete(&mut self, numbers: &[i64], now: Time) -> Result<()> {
        for number in numbers {
            match self.entry(*number).map(|entry| entry.state) {
                None => return Err(Error::new(Code::NotFound, format!("There is no version {number}."))),
                Some(State::Destroyed) => {
                    return Err(Error::new(Code::Destroyed, format!("Version {number} is destroyed.")));
                }
                Some(State::Live) => {}
                Some(State::Deleted) => self.set_state(*number, State::Live, None),
            }
        }
        self.updated_at = now;
        Ok(())
    }

    fn set_state(&mut self, number: i64, state: State, deleted_at: Option<Time>) {
        if let Some(entry) = self.versions.iter_mut().find(|entry| entry.number == number) {
            entry.state = state;
            entry.deleted_at = deleted_at;
        }
    }
}

fn is_ours(label: &str) -> bool {
    matches!(label, CURRENT | PREVIOUS | PENDING)
}

/// 1 to 128 of letters, digits, `.`, `_`, `-`; a user's own is none of ours in another case, nor an `AWS…` form.
pub fn check_label(label: &str) -> Result<()> {
    if is_ours(label) {
        return Ok(());
    }
    let fits = (1..=128).contains(&label.len())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if !fits {
        return Err(Error::invalid("A label is 1 to 128 letters, digits, '.', '_' or '-'."));
    }
    let lower = label.to_ascii_lowercase();
    if is_ours(&lower) || lower.starts_with("aws") {
        return Err(Error::invalid(
            "A label of your own is not 'current', 'previous' or 'pending' in another case, and does not start with 'AWS'.",
        ));
    }
    Ok(())
}

/// A version's id: 32 to 64 of letters, digits, `_` and `-`.
pub fn check_version_id(id: &str) -> Result<()> {
    let fits = (32..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if fits {
        Ok(())
    } else {
        Err(Error::invalid("An id is 32 to 64 letters, digits, '_' or '-'."))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn new(id: &str) -> NewVersion {
        NewVersion {
            id: id.into(),
            digest: Digest::ZERO,
            by: PrincipalId([0; 16]),
            cas: None,
            labels: None,
        }
    }

    #[test]
    fn current_and_previous_follow_writes_and_moves() {
        let mut head = Head::new(Time(1));
        for id in ["a", "b", "c"] {
            head.put(new(id), Time(2)).unwrap();
        }
        assert_eq!((head.current(), head.labels[PREVIOUS]), (3, 2));
        head.move_label(CURRENT, 1, Time(3)).unwrap();
        assert_eq!((head.current(), head.labels[PREVIOUS]), (1, 3));
        head.put(
            NewVersion {
                labels: Some(vec![PENDING.into()]),
                ..new("d")
            },
            Time(4),
        )
        .unwrap();
        assert_eq!((head.current(), head.labels[PENDING]), (1, 4));
        assert_eq!(head.check_cas(Some(4)).unwrap_err().code, Code::CasMismatch);
        for bad in ["Current", "AWSCURRENT", "awsPending", "", "a b"] {
            assert!(head.move_label(bad, 1, Time(5)).is_err(), "{bad}");
        }
    }

    proptest! {
        /// Whatever is done, numbers never repeat, every label names a kept version, and a stored head reads back the same.
        #[test]
        fn a_head_stays_sound(steps in proptest::collection::vec((0..5_u8, 0..8_i64), 1..40)) {
            let mut head = Head::new(Time(0));
            for (at, (step, number)) in steps.into_iter().enumerate() {
                let now = Time(i64::try_from(at).unwrap());
                let _ = match step {
                    0 => head.put(new(&format!("id-{at}")), now).map(|_| ()),
                    1 => head.delete_current(now).map(|_| ()),
                    2 => head.undelete(&[number], now),
                    3 => head.move_label(CURRENT, number, now),
                    _ => head.move_label("mine", number, now),
                };
                prop_assert!(head.versions.windows(2).all(|pair| pair[0].number < pair[1].number));
                prop_assert!(head.labels.values().all(|number| head.entry(*number).is_some()));
                prop_assert!(head.versions.iter().all(|entry| entry.number < head.next));
            }
            let text = serde_json::to_vec(&head).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Head>(&text).unwrap(), head);
        }
    }
}
