//! How versions and secrets go, and come back.

use super::rotating::rotating;
use super::{Head, Selector, State, VersionEntry};
use crate::{Code, Error, Result, Time, Version};

impl Head {
    /// Deletes the current version, recoverably; it keeps its label.
    pub fn delete_current(&mut self, now: Time) -> Result<i64> {
        let number = self.select(&Selector::default(), now)?.number;
        self.check_version_rests(number)?;
        self.set_state(number, State::Deleted, Some(now));
        self.updated_at = now;
        Ok(number)
    }

    /// Undeletes the versions named. One that is live already stays so; one destroyed refuses the whole.
    pub fn undelete(&mut self, numbers: &[i64], now: Time) -> Result<()> {
        self.check_present()?;
        for number in numbers {
            match self.entry(*number).map(|entry| entry.state_at(now)) {
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

    /// Destroys the versions named, for good. `blank` makes the row that stands in the place of each; one that is destroyed
    /// already stays so.
    pub fn destroy(
        &mut self,
        numbers: &[i64],
        blank: impl Fn(&VersionEntry) -> Version,
        now: Time,
    ) -> Result<Vec<Version>> {
        self.check_present()?;
        let labelled = self.resting();
        let mut rows = Vec::new();
        for number in numbers {
            let entry = self
                .versions
                .iter_mut()
                .find(|entry| entry.number == *number)
                .ok_or_else(|| Error::new(Code::NotFound, format!("There is no version {number}.")))?;
            if entry.state != State::Destroyed {
                if labelled.contains(number) {
                    return Err(rotating(&format!("Version {number}")));
                }
                let row = blank(entry);
                entry.state = State::Destroyed;
                entry.digest = row.digest();
                entry.rev = row.rev;
                rows.push(row);
            }
        }
        self.updated_at = now;
        Ok(rows)
    }

    /// Marks the secret for deletion at `until`.
    pub fn retire(&mut self, until: Time, now: Time) -> Result<()> {
        self.check_present()?;
        self.pending_until = Some(until);
        self.updated_at = now;
        Ok(())
    }

    pub fn restore(&mut self, now: Time) -> Result<()> {
        match self.pending_until {
            None => Err(Error::new(Code::Conflict, "The secret is not pending deletion.")),
            Some(until) if until <= now => Err(Error::new(Code::NotFound, "The time to restore the secret is over.")),
            Some(_) => {
                self.pending_until = None;
                self.updated_at = now;
                Ok(())
            }
        }
    }

    fn set_state(&mut self, number: i64, state: State, deleted_at: Option<Time>) {
        if let Some(entry) = self.versions.iter_mut().find(|entry| entry.number == number) {
            entry.state = state;
            entry.deleted_at = deleted_at;
            entry.delete_at = None;
        }
    }
}
