//! A secret's head and what may become of it. Pure: rows in, a new head out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::check_cas;
use crate::metadata::{MAX_VERSIONS, Metadata};
use crate::{Code, Digest, Error, PrincipalId, Result, RowRev, Time};

mod expiry;
mod lifecycle;
mod rotating;

pub use expiry::{Expires, Expiry};

pub const CURRENT: &str = "current";
pub const PREVIOUS: &str = "previous";
pub const PENDING: &str = "pending";

/// Labels a secret may carry besides the three of ours.
pub const MAX_USER_LABELS: usize = 16;
/// How long a secret that is pending deletion can be restored, in days; the first is what is meant when nothing is said.
pub const RECOVERY_DAYS: std::ops::RangeInclusive<u16> = 7..=30;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// The row's.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub rev: RowRev,
    pub state: State,
    pub created_at: Time,
    pub created_by: PrincipalId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Time>,
    /// It counts as deleted from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_at: Option<Time>,
}

fn first() -> RowRev {
    RowRev::FIRST
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first(rev: &RowRev) -> bool {
    *rev == RowRev::FIRST
}

impl VersionEntry {
    pub fn state_at(&self, now: Time) -> State {
        match self.state {
            State::Live if self.delete_at.is_some_and(|at| at <= now) => State::Deleted,
            state => state,
        }
    }
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
    /// Pending deletion: until then it can be restored, after that it is purged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_until: Option<Time>,
    /// The first version that a rotation has made which is not over: labelled versions are kept, and stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotating_from: Option<i64>,
    /// Ends of it that were told ahead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Time>,
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
            pending_until: None,
            rotating_from: None,
            told: Vec::new(),
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

    /// Refuses all but a restore while the secret is pending deletion.
    pub fn check_present(&self) -> Result<()> {
        match self.pending_until {
            None => Ok(()),
            Some(until) => Err(Error::new(
                Code::PendingDeletion,
                format!("The secret is pending deletion until {until}."),
            )),
        }
    }

    /// The version that `selector` names, if it is live at `now`.
    pub fn select(&self, selector: &Selector, now: Time) -> Result<&VersionEntry> {
        self.check_present()?;
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
        match entry.state_at(now) {
            State::Live => Ok(entry),
            State::Deleted => Err(Error::new(
                Code::Deleted,
                format!("Version {number} is deleted; undelete brings it back."),
            )),
            State::Destroyed => Err(Error::new(Code::Destroyed, format!("Version {number} is destroyed."))),
        }
    }

    pub fn check_cas(&self, cas: Option<i64>) -> Result<()> {
        check_cas(self.current(), cas)
    }

    /// Adds a version under the next number, moves its labels there and forgets the oldest above `kept`; gives the number
    /// and what was forgotten. `previous` does not protect a version from that, any other label does.
    pub fn put(&mut self, new: NewVersion, kept: u32, now: Time) -> Result<(i64, Vec<VersionEntry>)> {
        self.check_present()?;
        if self.metadata.cas_required && new.cas.is_none() {
            return Err(Error::invalid("The secret takes no write without 'cas'."));
        }
        self.check_cas(new.cas)?;
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
            rev: RowRev::FIRST,
            delete_at: self
                .metadata
                .delete_after
                .map(|seconds| now + Duration::from_secs(seconds)),
        });
        for label in new.labels.unwrap_or_else(|| vec![CURRENT.into()]) {
            self.set_label(&label, number)?;
        }
        self.updated_at = now;
        Ok((number, self.prune(number, kept)))
    }

    fn prune(&mut self, newest: i64, kept: u32) -> Vec<VersionEntry> {
        let kept = self.metadata.max_versions.unwrap_or(kept).min(MAX_VERSIONS) as usize;
        let protected: BTreeSet<i64> = self
            .labels
            .iter()
            // While it is rotated it may be gone back to.
            .filter(|(label, _)| *label != PREVIOUS || self.rotating_from.is_some())
            .map(|(_, number)| *number)
            .chain([newest])
            .collect();
        let mut surplus = self.versions.len().saturating_sub(kept);
        let forgotten: Vec<VersionEntry> = self
            .versions
            .extract_if(.., |entry| {
                let goes = surplus > 0 && !protected.contains(&entry.number);
                surplus -= usize::from(goes);
                goes
            })
            .collect();
        self.labels
            .retain(|_, number| !forgotten.iter().any(|entry| entry.number == *number));
        forgotten
    }

    /// Moves a label; `previous` goes where `current` was.
    pub fn move_label(&mut self, label: &str, number: i64, now: Time) -> Result<()> {
        self.check_present()?;
        self.check_label_rests(label)?;
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
        self.check_present()?;
        self.check_label_rests(label)?;
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
    use crate::{NamespaceId, ObjectId, Version};

    pub(super) fn new(id: &str) -> NewVersion {
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
            head.put(new(id), 10, Time(2)).unwrap();
        }
        assert_eq!((head.current(), head.labels[PREVIOUS]), (3, 2));
        head.move_label(CURRENT, 1, Time(3)).unwrap();
        assert_eq!((head.current(), head.labels[PREVIOUS]), (1, 3));
        head.put(
            NewVersion {
                labels: Some(vec![PENDING.into()]),
                ..new("d")
            },
            10,
            Time(4),
        )
        .unwrap();
        assert_eq!((head.current(), head.labels[PENDING]), (1, 4));
        assert_eq!(head.check_cas(Some(4)).unwrap_err().code, Code::CasMismatch);
        for bad in ["Current", "AWSCURRENT", "awsPending", "", "a b"] {
            assert!(head.move_label(bad, 1, Time(5)).is_err(), "{bad}");
        }
    }

    fn blank(entry: &VersionEntry) -> Version {
        Version {
            rev: entry.rev.next(),
            ..Version::blank(NamespaceId([0; 16]), ObjectId([0; 16]), entry.number)
        }
    }

    #[test]
    fn the_oldest_go_unless_a_label_holds_them() {
        let mut head = Head::new(Time(1));
        for at in 1..=3 {
            assert!(head.put(new(&format!("{at}")), 3, Time(2)).unwrap().1.is_empty());
        }
        head.move_label("mine", 1, Time(3)).unwrap();
        let (number, gone) = head.put(new("4"), 3, Time(4)).unwrap();
        assert_eq!((number, gone.len(), gone[0].number), (4, 1, 2));
        head.metadata.max_versions = Some(1);
        let (_, gone) = head.put(new("5"), 3, Time(5)).unwrap();
        assert_eq!(gone.iter().map(|entry| entry.number).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(head.labels, BTreeMap::from([("current".into(), 5), ("mine".into(), 1)]));
    }

    #[test]
    fn a_version_lives_as_long_as_it_was_told_to() {
        let mut head = Head::new(Time(0));
        head.metadata.delete_after = Some(2);
        head.put(new("a"), 10, Time(0)).unwrap();
        assert!(head.select(&Selector::default(), Time(1_999_999)).is_ok());
        assert_eq!(
            head.select(&Selector::default(), Time(2_000_000)).unwrap_err().code,
            Code::Deleted
        );
        head.undelete(&[1], Time(2_000_001)).unwrap();
        assert!(head.select(&Selector::default(), Time(i64::MAX)).is_ok());
    }

    #[test]
    fn what_is_pending_deletion_takes_nothing_but_a_restore() {
        let mut head = Head::new(Time(0));
        head.put(new("a"), 10, Time(0)).unwrap();
        head.retire(Time(10), Time(1)).unwrap();
        let refused = |result: Result<()>| assert_eq!(result.unwrap_err().code, Code::PendingDeletion);
        refused(head.select(&Selector::default(), Time(2)).map(|_| ()));
        refused(head.put(new("b"), 10, Time(2)).map(|_| ()));
        refused(head.delete_current(Time(2)).map(|_| ()));
        refused(head.undelete(&[1], Time(2)));
        refused(head.destroy(&[1], blank, Time(2)).map(|_| ()));
        refused(head.move_label("mine", 1, Time(2)));
        refused(head.remove_label(PREVIOUS, Time(2)));
        refused(head.retire(Time(20), Time(2)));
        assert_eq!(head.restore(Time(10)).unwrap_err().code, Code::NotFound);
        head.restore(Time(9)).unwrap();
        assert!(head.select(&Selector::default(), Time(9)).is_ok());
    }

    #[test]
    fn a_write_without_cas_is_refused_where_it_is_required() {
        let mut head = Head::new(Time(0));
        head.metadata.cas_required = true;
        assert_eq!(head.put(new("a"), 10, Time(0)).unwrap_err().code, Code::InvalidRequest);
        let with_cas = NewVersion {
            cas: Some(0),
            ..new("a")
        };
        assert!(head.put(with_cas, 10, Time(0)).is_ok());
    }

    proptest! {
        /// Whatever is done, numbers never repeat, every label names a kept version, labelled versions are kept, what is
        /// destroyed stays so, and a stored head reads back the same.
        #[test]
        fn a_head_stays_sound(kept in 1..6_u32, steps in proptest::collection::vec((0..8_u8, 0..12_i64), 1..60)) {
            let mut head = Head::new(Time(0));
            let mut destroyed = BTreeSet::new();
            for (at, (step, number)) in steps.into_iter().enumerate() {
                let now = Time(i64::try_from(at).unwrap());
                let before = head.clone();
                let done = match step {
                    0 | 1 => head.put(new(&format!("id-{at}")), kept, now).map(|_| ()),
                    2 => head.delete_current(now).map(|_| ()),
                    3 => head.undelete(&[number], now),
                    4 => head.move_label(CURRENT, number, now),
                    5 => head.move_label("mine", number, now),
                    6 => head.destroy(&[number], blank, now).map(|rows| {
                        destroyed.extend(rows.iter().map(|row| row.number));
                    }),
                    _ => if number % 2 == 0 { head.retire(Time(1000), now) } else { head.restore(now) },
                };
                prop_assert!(done.is_ok() || head == before || step == 3 || step == 6);
                prop_assert!(head.versions.windows(2).all(|pair| pair[0].number < pair[1].number));
                prop_assert!(head.labels.values().all(|number| head.entry(*number).is_some()));
                prop_assert!(head.versions.iter().all(|entry| entry.number < head.next));
                prop_assert!(head.versions.len() <= kept as usize + 3);
                for number in &destroyed {
                    prop_assert!(head.entry(*number).is_none_or(|entry| entry.state == State::Destroyed));
                    prop_assert!(head.select(&Selector::Version(*number), now).is_err());
                }
            }
            let text = serde_json::to_vec(&head).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Head>(&text).unwrap(), head);
        }
    }
}
