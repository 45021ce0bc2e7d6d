//! Ends of a secret that are known beforehand: each is told once, some time before it comes.

use std::time::Duration;

use super::{Head, State, VersionEntry};
use crate::Time;

/// How long before it comes an end is told: a tenth of the whole time, and no more than this.
const AHEAD: Duration = Duration::from_hours(7 * 24);
const PART: u32 = 10;
/// No more than that can be ahead of a secret.
const MOST_TOLD: usize = 3;

/// What comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expires {
    /// The secret is pending deletion, and purged then.
    Purged,
    /// The current version counts as deleted from then on.
    Deleted,
    /// The current version is as old as one of its type should get.
    Outdated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    pub what: Expires,
    pub at: Time,
    pub version: Option<i64>,
    since: Time,
}

impl Expiry {
    /// When it is to be told.
    fn told_at(&self) -> Time {
        self.at - (self.at.since(self.since) / PART).min(AHEAD)
    }
}

impl Head {
    /// When a node is to look at it.
    pub fn due(&self) -> Option<Time> {
        let untold = self.untold().map(|expiry| expiry.told_at());
        untold.chain(self.pending_until).min()
    }

    /// When its current version is as old as one of its type should get.
    pub fn outdated_at(&self) -> Option<Time> {
        let age = self.metadata.secret_type.due_after()?;
        Some(self.lasting()?.created_at + age.into())
    }

    /// The current version, unless it is gone, or goes as a whole.
    fn lasting(&self) -> Option<&VersionEntry> {
        let current = self.entry(self.current());
        current.filter(|entry| entry.state == State::Live && self.pending_until.is_none())
    }

    /// What is to be told by now.
    pub fn expiring(&self, now: Time) -> Vec<Expiry> {
        self.untold().filter(|expiry| expiry.told_at() <= now).collect()
    }

    /// It is told, and not again.
    pub fn tell(&mut self, expiry: Expiry) {
        self.told.push(expiry.at);
        let surplus = self.told.len().saturating_sub(MOST_TOLD);
        self.told.drain(..surplus);
    }

    fn untold(&self) -> impl Iterator<Item = Expiry> {
        let pending = self.pending_until.map(|at| Expiry {
            what: Expires::Purged,
            at,
            version: None,
            since: self.updated_at,
        });
        // Of what is gone, or goes as a whole, nothing else is worth telling.
        let ends = self.lasting().into_iter().flat_map(|entry| {
            let end = |what, at| Expiry {
                what,
                at,
                version: Some(entry.number),
                since: entry.created_at,
            };
            let outdated = self.outdated_at().map(|at| end(Expires::Outdated, at));
            let deleted = entry.delete_at.map(|at| end(Expires::Deleted, at));
            [deleted, outdated].into_iter().flatten()
        });
        ends.chain(pending).filter(|expiry| !self.told.contains(&expiry.at))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::new;
    use super::*;
    use crate::metadata::SecretType;

    const DAY: Duration = Duration::from_hours(24);

    fn days(days: u32) -> Time {
        Time(0) + DAY * days
    }

    fn password() -> Head {
        let mut head = Head::new(days(0));
        head.metadata.secret_type = SecretType::Password;
        head.put(new("a"), 10, days(0)).unwrap();
        head
    }

    /// Looks when it is due, and tells.
    fn looked_at(head: &mut Head) -> Vec<(Expires, Time)> {
        let now = head.due().unwrap();
        assert!(head.expiring(now - Duration::from_micros(1)).is_empty());
        let told = head.expiring(now);
        for expiry in &told {
            head.tell(*expiry);
        }
        assert!(head.expiring(now).is_empty(), "once");
        told.iter().map(|expiry| (expiry.what, expiry.at)).collect()
    }

    #[test]
    fn what_has_no_end_is_never_looked_at() {
        let mut head = Head::new(days(0));
        head.put(new("a"), 10, days(0)).unwrap();
        assert_eq!(head.due(), None);
    }

    #[test]
    fn a_password_is_told_once_before_it_is_as_old_as_it_should_get() {
        let mut head = password();
        assert_eq!(head.due(), Some(days(83)));
        assert_eq!(looked_at(&mut head), [(Expires::Outdated, days(90))]);
        assert_eq!(head.due(), None);
        head.put(new("b"), 10, days(85)).unwrap();
        assert_eq!(head.due(), Some(days(85 + 83)), "another has its own end");
        head.move_label("current", 1, days(86)).unwrap();
        assert_eq!(head.due(), None, "that of the first was told");
        head.metadata.secret_type = SecretType::SigningKey;
        assert_eq!(head.due(), Some(days(27)), "a tenth of 30 days before, and late by now");
    }

    #[test]
    fn each_end_of_a_version_is_told() {
        let mut head = Head::new(days(0));
        head.metadata.delete_after = Some(1000);
        head.metadata.secret_type = SecretType::Database;
        head.put(new("a"), 10, days(0)).unwrap();
        let end = days(0) + Duration::from_secs(1000);
        assert_eq!(head.due(), Some(days(0) + Duration::from_mins(15)));
        assert_eq!(looked_at(&mut head), [(Expires::Deleted, end)]);
        assert_eq!(looked_at(&mut head), [(Expires::Outdated, days(90))]);
        assert_eq!(head.due(), None);
        let text = serde_json::to_vec(&head).unwrap();
        assert_eq!(serde_json::from_slice::<Head>(&text).unwrap(), head);
    }

    #[test]
    fn what_is_pending_deletion_is_told_and_then_due_to_be_purged() {
        let mut head = password();
        head.retire(days(17), days(10)).unwrap();
        assert_eq!(looked_at(&mut head), [(Expires::Purged, days(17))]);
        assert_eq!(head.due(), Some(days(17)), "to be purged");
        head.restore(days(16)).unwrap();
        assert_eq!(head.due(), Some(days(83)));
        head.retire(days(40), days(20)).unwrap();
        assert_eq!(looked_at(&mut head), [(Expires::Purged, days(40))], "another day");
    }

    #[test]
    fn what_is_deleted_or_destroyed_has_no_end_to_come() {
        let mut head = password();
        head.delete_current(days(1)).unwrap();
        assert_eq!(head.due(), None);
        head.undelete(&[1], days(2)).unwrap();
        assert_eq!(head.due(), Some(days(83)));
    }
}
