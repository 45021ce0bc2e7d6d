//! How leases stand, for whoever watches: how many, which are stuck, and which users no lease explains.

use std::sync::Arc;
use std::time::Duration;

use strongroom_domain::lease::{Lease, LeaseCount, LeaseId, LeaseRole};
use strongroom_domain::{Kind, Result};

use crate::Broker;
use crate::rows::Checked;

/// Due leases that are looked at, oldest first.
const LOOKED_AT: u16 = 1000;
/// As far ahead as a failure puts one off.
const AHEAD: Duration = Duration::from_hours(1);
const CHUNK: u16 = 1000;
/// Strays of one role after which no more are looked for.
const MOST_STRAYS: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leases {
    pub all: i64,
    /// Could not be taken back for several times.
    pub stuck: i64,
    /// How long the oldest one should have been gone.
    pub overdue: Duration,
}

impl Broker {
    /// As this node saw them last; it looks every minute.
    pub fn leases_seen(&self) -> Leases {
        **self.0.leases.load()
    }

    /// Users of targets that are of our making, and that no lease explains, as this node saw them last.
    pub fn strays_seen(&self) -> i64 {
        self.0.strays.load(std::sync::atomic::Ordering::Relaxed)
    }

    pub(crate) async fn watch_leases(&self) -> Result<()> {
        let now = self.0.clock.now();
        let mut seen = Leases::default();
        for record in self.ask(self.0.store.of_kind(now, Kind::LeaseCount)).await?.value {
            let count = self.within(record.namespace).check::<LeaseCount>(record)?.body;
            seen.all += i64::from(count.leases);
        }
        for record in self
            .ask(self.0.store.due(now, Kind::Lease, None, now + AHEAD, LOOKED_AT))
            .await?
            .value
        {
            let lease = self.within(record.namespace).check::<Lease>(record)?.body;
            seen.stuck += i64::from(lease.is_stuck());
            seen.overdue = seen.overdue.max(lease.overdue(now));
        }
        self.0.leases.store(Arc::new(seen));
        Ok(())
    }

    /// Asks targets for users that are of our making and that no lease explains. They are told, not removed: they may be
    /// another installation's, which was made from a backup of this one.
    pub(crate) async fn find_strays(&self) -> Result<()> {
        if self.is_held().await? {
            return Ok(());
        }
        let mut strays = 0;
        for namespace in self.every_namespace().await? {
            let broker = self.within(namespace);
            let found = broker
                .0
                .store
                .list(self.0.clock.now(), namespace, Kind::LeaseRole, "", "", CHUNK);
            for record in self.ask(found).await?.value {
                let Checked { record, body } = broker.check::<LeaseRole>(record)?;
                match broker.strays_of(&body).await? {
                    Ok(users) => {
                        strays += users.len();
                        for user in users {
                            tracing::warn!(role = record.name, user, "no lease explains this user of a target");
                        }
                    }
                    Err(reason) => tracing::warn!(role = record.name, reason, "a target was not asked for its users"),
                }
            }
        }
        let strays = i64::try_from(strays).unwrap_or(i64::MAX);
        self.0.strays.store(strays, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    async fn strays_of(&self, role: &LeaseRole) -> Result<Result<Vec<String>, String>> {
        let way = match self.way_of(&role.config.target).await? {
            Ok((_, way)) => way,
            Err(reason) => return Ok(Err(reason)),
        };
        let (prefix, mut after, mut strays) = (role.user_prefix(), String::new(), Vec::new());
        loop {
            let order = way.order(self.0.clock.now().0);
            let users = self.0.connectors.issuer.users(order, &prefix, &after, CHUNK.into());
            let users = match users.await {
                Ok(users) => users,
                Err(error) => return Ok(Err(error.to_string())),
            };
            let ours = |user: &String| user.starts_with(&prefix) && *user > after;
            let last = match users.last() {
                None => return Ok(Ok(strays)),
                Some(last) if users.iter().all(ours) && strays.len() < MOST_STRAYS => last.clone(),
                Some(_) => return Ok(Err("the target tells of more users than can be, or of others".into())),
            };
            let ids = users.iter().filter_map(|user| LeaseId::of_user(user, role));
            let keys: Vec<_> = ids.map(|id| self.key(Kind::Lease, id.row_name())).collect();
            // The row was there before its user.
            let known = self.load_keys::<Lease>(&keys).await?.value;
            strays.extend(
                users
                    .into_iter()
                    .filter(|user| known.iter().all(|lease| lease.body.username != *user)),
            );
            after = last;
        }
    }
}
