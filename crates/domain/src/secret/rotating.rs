//! What a rotation does to a head, and what it keeps others from doing meanwhile.

use std::collections::BTreeSet;

use super::{CURRENT, Head, PENDING, is_ours};
use crate::{Code, Error, Result, Time};

pub(super) fn rotating(what: &str) -> Error {
    Error::new(
        Code::RotationRunning,
        format!("{what} stays as it is while a rotation of the secret is under way."),
    )
}

impl Head {
    /// The versions that nobody but the rotation may take away: those that carry a label, while one is under way.
    pub(super) fn resting(&self) -> BTreeSet<i64> {
        let labels = self.rotating_from.map(|_| self.labels.values().copied());
        labels.into_iter().flatten().collect()
    }

    pub(super) fn check_version_rests(&self, number: i64) -> Result<()> {
        if self.resting().contains(&number) {
            return Err(rotating(&format!("Version {number}")));
        }
        Ok(())
    }

    pub(super) fn check_label_rests(&self, label: &str) -> Result<()> {
        if self.rotating_from.is_some() && is_ours(label) {
            return Err(rotating(&format!("The label '{label}'")));
        }
        Ok(())
    }

    /// A rotation has made this version, and tries it out.
    pub fn begin_rotation(&mut self, version: i64) {
        self.rotating_from.get_or_insert(version);
    }

    /// The rotation is over: `version` becomes `current`, and nothing is pending.
    pub fn finish_rotation(&mut self, version: i64, now: Time) -> Result<()> {
        self.end_rotation(now);
        self.move_label(CURRENT, version, now)
    }

    /// The rotation is over, however it went.
    pub fn end_rotation(&mut self, now: Time) {
        self.rotating_from = None;
        self.labels.remove(PENDING);
        self.updated_at = now;
    }
}
