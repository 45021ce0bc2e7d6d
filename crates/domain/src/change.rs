//! A change as a value: the rows to write, each with the row revision it was computed from. The domain decides, the
//! store compares and swaps.

use std::collections::HashSet;

use crate::row::{Key, RowKey};
use crate::{Revision, Row, RowRev, Time};

/// One row write. A row that does not compare refuses its whole change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// The key, and for a record the name too, must be free.
    Insert(Row),
    /// The stored row must have the given revision.
    Replace(RowRev, Row),
    Remove(RowKey, RowRev),
}

impl Write {
    pub fn key(&self) -> RowKey {
        match self {
            Self::Insert(row) | Self::Replace(_, row) => row.key(),
            Self::Remove(key, _) => key.clone(),
        }
    }
}

/// What a change did to an object, as caches and watchers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// Set by the store when the change commits.
    pub revision: Revision,
    pub key: Key,
    /// The new version's number, where the change made one.
    pub version: Option<i64>,
    pub action: i16,
}

/// Whether these are all the changes that follow `since`, or the first `limit` of them, where the newest revision is `top`.
pub fn follow(since: Revision, touches: &[Touch], top: Revision, limit: u16) -> bool {
    let all = i64::from(limit).min(top.0.saturating_sub(since.0));
    let numbers = touches.iter().map(|touch| touch.revision.0);
    i64::try_from(touches.len()) == Ok(all) && numbers.eq((since.0.saturating_add(1)..).take(touches.len()))
}

/// All of `writes` happen, with the entries and touches, or nothing does.
#[derive(Debug, Clone)]
pub struct Change {
    pub writes: Vec<Write>,
    /// Empty: the change takes no revision.
    pub touches: Vec<Touch>,
}

/// What became of one change of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Applied,
    /// A row was not as the change expected; nothing of it was written.
    Conflict,
}

/// The changes above a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moved {
    Touches(Vec<Touch>),
    /// More than were asked for: everything cached may be old.
    TooMany,
}

/// What a commit tells about the ground that answers rest on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    pub db_now: Time,
    /// The newest revision that is visible.
    pub top: Revision,
    pub moved: Moved,
}

impl Fence {
    /// The same once a group was committed under it: what moved before, and what the group moved itself.
    pub fn after(&self, group: &[Change], outcomes: &[Option<Outcome>]) -> Self {
        let mut top = self.top;
        let mut own = Vec::new();
        for (change, outcome) in group.iter().zip(outcomes) {
            if *outcome == Some(Outcome::Applied) {
                for touch in &change.touches {
                    top = Revision(top.0 + 1);
                    own.push(Touch {
                        revision: top,
                        ..touch.clone()
                    });
                }
            }
        }
        let moved = match &self.moved {
            Moved::TooMany => Moved::TooMany,
            Moved::Touches(touches) => Moved::Touches(touches.iter().cloned().chain(own).collect()),
        };
        Self {
            db_now: self.db_now,
            top,
            moved,
        }
    }
}

/// The changes of a group, by place, that write a row or a name which an earlier one of the group writes too. A group is
/// written by set statements, so it holds one write a row; these must wait for another group.
pub fn overlapping<'a>(group: impl IntoIterator<Item = (usize, &'a Change)>) -> Vec<usize> {
    let (mut rows, mut names) = (HashSet::new(), HashSet::new());
    let mut overlapping = Vec::new();
    for (place, change) in group {
        let named = |write: &Write| match write {
            Write::Insert(Row::Record(row)) => Some(row.key()),
            _ => None,
        };
        let twice = change
            .writes
            .iter()
            .any(|write| rows.contains(&write.key()) || named(write).is_some_and(|name| names.contains(&name)));
        if twice {
            overlapping.push(place);
        } else {
            rows.extend(change.writes.iter().map(Write::key));
            names.extend(change.writes.iter().filter_map(named));
        }
    }
    overlapping
}
