//! Users of targets that are of our making and that no lease explains. They are told, not removed: they may be another
//! installation's, which was made from a backup of this one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use strongroom_domain::lease::{Lease, LeaseId, LeaseRole};
use strongroom_domain::{Kind, Name, NamespaceId, ObjectId, Result};
use tokio::time::Instant;

use crate::Broker;
use crate::rows::{Checked, Unread};
use crate::targets::Way;

/// Namespaces that are looked at at once: what one's targets take holds up few others.
const AT_ONCE: usize = 4;
/// What one target, and what all targets of one namespace may take of a pass. They come in another order in the next.
struct Patience {
    target: Duration,
    namespace: Duration,
}

const PATIENCE: Patience = Patience {
    target: Duration::from_mins(1),
    namespace: Duration::from_mins(10),
};
const CHUNK: u16 = 1000;
/// Strays of one role after which no more are looked for.
const MOST_STRAYS: usize = 10_000;
/// Strays of one role that the log names in each pass.
const NAMED: usize = 20;

/// How many there are of each role that has any. A target that cannot be asked leaves it as it was.
#[derive(Default)]
pub(crate) struct Strays(Mutex<HashMap<(NamespaceId, ObjectId), usize>>);

impl Strays {
    fn of_roles(&self) -> MutexGuard<'_, HashMap<(NamespaceId, ObjectId), usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> i64 {
        i64::try_from(self.of_roles().values().sum::<usize>()).unwrap_or(i64::MAX)
    }

    fn found(&self, namespace: NamespaceId, role: ObjectId, strays: usize) {
        if strays == 0 {
            self.of_roles().remove(&(namespace, role));
        } else {
            self.of_roles().insert((namespace, role), strays);
        }
    }
}

/// Roles of one target, with their names.
type Roles = Vec<(String, LeaseRole)>;

/// Of one role: how many, and the first of them.
#[derive(Default)]
struct Found {
    count: usize,
    named: Vec<String>,
}

impl Found {
    fn add(&mut self, user: String) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(user);
        }
    }

    fn tell(&self, role: &str) {
        for user in &self.named {
            tracing::warn!(role, user, "no lease explains this user of a target");
        }
        let more = self.count - self.named.len();
        if more > 0 {
            tracing::warn!(role, more, "no lease explains so many more users of a target");
        }
    }
}

impl Broker {
    /// As this node found them last; it asks every ten minutes.
    pub fn strays_seen(&self) -> i64 {
        self.0.strays.all()
    }

    /// Asks targets for their users.
    pub(crate) async fn find_strays(&self) -> Result<()> {
        self.find_strays_within(&PATIENCE).await
    }

    async fn find_strays_within(&self, patience: &Patience) -> Result<()> {
        if self.is_held().await? {
            return Ok(());
        }
        let namespaces = self.every_namespace().await?;
        self.0
            .strays
            .of_roles()
            .retain(|(namespace, _), _| namespaces.contains(namespace));
        stream::iter(namespaces)
            .for_each_concurrent(AT_ONCE, |namespace| async move {
                if let Err(error) = self.within(namespace).find_strays_here(patience).await {
                    tracing::warn!(?error, %namespace, "users that no lease explains were not looked for in a namespace");
                }
            })
            .await;
        Ok(())
    }

    async fn find_strays_here(&self, patience: &Patience) -> Result<()> {
        let until = Instant::now() + patience.namespace;
        for (target, roles) in self.lease_roles_by_target().await? {
            let by = until.min(Instant::now() + patience.target);
            let asked = tokio::time::timeout_at(by, self.find_strays_at(&target, &roles)).await;
            let reason = match asked {
                Ok(Ok(Ok(()))) => continue,
                Ok(Ok(Err(reason))) => reason,
                Ok(Err(error)) => error.detail,
                Err(_) => "it takes too long".into(),
            };
            tracing::warn!(target_name = %target, reason, "a target was not asked for all its users");
            if Instant::now() >= until {
                break;
            }
        }
        Ok(())
    }

    /// In another order each time, so that whatever holds up a pass holds up others in the next.
    async fn lease_roles_by_target(&self) -> Result<Vec<(Name, Roles)>> {
        let (mut by_target, mut known) = (BTreeMap::<Name, Roles>::new(), HashSet::new());
        let (mut after, mut unread) = (String::new(), Unread::default());
        loop {
            let (now, namespace) = (self.0.clock.now(), self.namespace());
            let found = self.0.store.list(now, namespace, Kind::LeaseRole, "", &after, CHUNK);
            let found = self.ask(found).await?.value;
            let last_chunk = found.len() < usize::from(CHUNK);
            for record in found {
                after.clone_from(&record.name);
                if let Some(Checked { record, body }) = unread.pass(self.check::<LeaseRole>(record)) {
                    known.insert(body.id);
                    let roles = by_target.entry(body.config.target.clone()).or_default();
                    roles.push((record.name, body));
                }
            }
            if last_chunk {
                break;
            }
        }
        unread.tell();
        let own = self.namespace();
        self.0
            .strays
            .of_roles()
            .retain(|(namespace, role), _| *namespace != own || known.contains(role));
        let drawn = || u64::from_le_bytes(self.0.entropy.bytes());
        let mut targets: Vec<(Name, Roles)> = by_target.into_iter().collect();
        targets.sort_by_cached_key(|_| drawn());
        for (_, roles) in &mut targets {
            roles.sort_by_cached_key(|_| drawn());
        }
        Ok(targets)
    }

    /// Or why not of all these roles.
    async fn find_strays_at(&self, target: &Name, roles: &[(String, LeaseRole)]) -> Result<Result<(), String>> {
        let _turn = self.turn_at(target).await;
        let way = match self.way_of(target).await? {
            Ok((_, way)) => way,
            Err(reason) => return Ok(Err(reason)),
        };
        for (name, role) in roles {
            match self.strays_of(&way, role).await? {
                Ok(found) => {
                    found.tell(name);
                    self.0.strays.found(self.namespace(), role.id, found.count);
                }
                Err(reason) => return Ok(Err(reason)),
            }
        }
        Ok(Ok(()))
    }

    async fn strays_of(&self, way: &Way, role: &LeaseRole) -> Result<Result<Found, String>> {
        let (prefix, mut after, mut found) = (role.user_prefix(), String::new(), Found::default());
        while found.count < MOST_STRAYS {
            let order = way.order(self.0.clock.now().0);
            let users = self.0.connectors.issuer.users(order, &prefix, &after, CHUNK.into());
            let users = match users.await {
                Ok(users) => users,
                Err(error) => return Ok(Err(error.to_string())),
            };
            let Some(last) = users.last().cloned() else { break };
            if !users.iter().all(|user| user.starts_with(&prefix) && *user > after) {
                return Ok(Err("the target tells of other users than it was asked for".into()));
            }
            let ids = users.iter().filter_map(|user| LeaseId::of_user(user, role));
            let keys: Vec<_> = ids.map(|id| self.key(Kind::Lease, id.row_name())).collect();
            // The row was there before its user.
            let leases = self.load_keys::<Lease>(&keys).await?.value;
            let known: HashSet<&str> = leases.iter().map(|lease| lease.body.username.as_str()).collect();
            for user in users.into_iter().filter(|user| !known.contains(user.as_str())) {
                found.add(user);
            }
            after = last;
        }
        Ok(Ok(found))
    }
}

#[cfg(test)]
mod tests;
