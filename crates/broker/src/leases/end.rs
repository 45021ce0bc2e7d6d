//! The end of leases: what is due is taken back in batches, as fast as one server bears.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::lease::{Ended, Lease, LeaseId, LeaseState};
use strongroom_domain::notice::Happened;
use strongroom_domain::policy::Capability;
use strongroom_domain::target::{Event, Target};
use strongroom_domain::{Code, Error, Kind, Name, Record, Result, Time};

use super::{LeaseView, check_server, effect, hasten, no_lease};
use crate::Broker;
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::faults;
use crate::record::Attempt;
use crate::request::Request;
use crate::rotation::{AWAITED, LOOK_AGAIN};
use crate::rows::{Checked, remove};
use crate::stats::count;
use crate::targets::{Way, within};

/// Whose work that is.
pub(crate) const JOB: &str = "leases";
/// Leases that are taken back at once: connections to a target, and rows that whoever reads meanwhile waits for.
pub(crate) const BATCH: usize = 4;
/// For how long no other leases are claimed after some were, in times of what that took: whoever asks for something else comes first.
const REST: u32 = 6;
/// Changes that took longer count as this: a store that is slow is no reason to leave users where they are.
const MOST_COUNTED: Duration = Duration::from_millis(50);

/// How targets are asked, or why they cannot be.
type Ways = BTreeMap<Name, Result<(Target, Way), String>>;
/// A lease that was claimed, and what became of its user.
type Tried = (LeaseId, Lease, Result<(), String>);

impl Broker {
    /// Takes back what is due of these rows, which are of one namespace.
    pub(crate) async fn end_leases(&self, records: Vec<Record>) -> Result<()> {
        let mut by_role: BTreeMap<Name, Vec<LeaseId>> = BTreeMap::new();
        for record in records {
            match self.check::<Lease>(record) {
                Ok(Checked { record, body }) => {
                    let id = LeaseId::of_row(&record.name);
                    by_role.entry(body.role).or_default().extend(id);
                }
                // One that fails holds up nobody else.
                Err(error) => tracing::warn!(?error, "a lease was not taken back this time"),
            }
        }
        for (role, ids) in by_role {
            self.end_batch(&role, &ids).await?;
        }
        Ok(())
    }

    /// Makes a change while nobody else on this node makes such, nor soon after.
    async fn paced<T>(&self, change: impl Future<Output = Result<T>>) -> Result<T> {
        let turn = self.0.turns.of_lease_ends().await;
        let began = Instant::now();
        let done = change.await;
        let rest = began.elapsed().min(MOST_COUNTED) * REST;
        tokio::spawn(async move {
            tokio::time::sleep(rest).await;
            drop(turn);
        });
        done
    }

    async fn end_batch(&self, role: &Name, ids: &[LeaseId]) -> Result<()> {
        if self.is_held().await? {
            return Ok(());
        }
        let taken = self.paced(self.claim_leases(role, ids)).await?;
        let ways = &self.ways_of(&taken).await;
        let tried: Vec<Tried> = stream::iter(taken)
            .map(|(id, lease)| async move {
                let removed = tokio::time::timeout(within(), self.remove_user(&lease, ways)).await;
                let outcome = removed.unwrap_or_else(|_| Err("the target did not answer in time".into()));
                (id, lease, outcome)
            })
            .buffer_unordered(BATCH)
            .collect()
            .await;
        if tried.is_empty() {
            return Ok(());
        }
        // Whoever has revoked does not stand in line until the claim is over: there are no more of these than of claims.
        self.settle_leases(role, &tried).await?;
        faults::after("lease.settle").await;
        for (_, lease, outcome) in tried {
            match outcome {
                Ok(()) => count(&self.0.stats.leases_ended),
                Err(reason) => {
                    count(&self.0.stats.leases_failed);
                    tracing::warn!(role = %lease.role, user = lease.username, reason, "a lease could not be taken back");
                }
            }
        }
        Ok(())
    }

    fn about_leases(&self, action: Action, role: &Name, ids: &[LeaseId]) -> Asked<'static> {
        let keys = ids.iter().map(|id| self.key(Kind::Lease, id.row_name()));
        Asked {
            action,
            path: role.to_string(),
            locks: keys.chain([self.key(Kind::LeaseCount, role.as_str())]).collect(),
            id: ChangeId::Version(self.new_id().to_string()),
            fingerprint: Vec::new().into(),
            needs: Vec::new(),
        }
    }

    async fn found_of(&self, ids: &[LeaseId]) -> Result<Vec<(LeaseId, Checked<Lease>)>> {
        let keys: Vec<_> = ids.iter().map(|id| self.key(Kind::Lease, id.row_name())).collect();
        let found = self.load_keys::<Lease>(&keys).await?.value.into_iter();
        let named = found.filter_map(|lease| Some((LeaseId::of_row(&lease.record.name)?, lease)));
        Ok(named.collect())
    }

    /// Those of them that are due, and ours from now on.
    async fn claim_leases(&self, role: &Name, ids: &[LeaseId]) -> Result<Vec<(LeaseId, Lease)>> {
        let request = Request::of_job(JOB, self.request_id());
        let asked = self.about_leases(Action::LeaseRevoke, role, ids);
        let claimed = self
            .change(&request, asked, |attempt| async move {
                let (mut writes, mut effects, mut taken) = (Vec::new(), Vec::new(), Vec::new());
                for (id, old) in self.found_of(ids).await? {
                    if let Some(mut lease) = old.body.take(attempt.now) {
                        hasten(&mut lease, attempt.now);
                        writes.push(self.write_lease(Some(&old.record), &id, &lease)?);
                        effects.push(effect(Action::LeaseRevoke, &lease, &id));
                        taken.push((id, lease));
                    }
                }
                if taken.is_empty() {
                    // Nothing happened that is to be put on record.
                    return Err(Error::from(Code::Unsettled));
                }
                Ok(Decided::Write(Decision {
                    fresh: Vec::new(),
                    writes,
                    touches: Vec::new(),
                    effects,
                    answer: taken,
                }))
            })
            .await;
        match claimed {
            Err(error) if error.code == Code::Unsettled => Ok(Vec::new()),
            claimed => claimed,
        }
    }

    /// How their targets are asked, or why they cannot be.
    async fn ways_of(&self, leases: &[(LeaseId, Lease)]) -> Ways {
        let mut ways = Ways::new();
        for (_, lease) in leases {
            if !ways.contains_key(&lease.target) {
                let way = self.way_of(&lease.target).await;
                ways.insert(lease.target.clone(), way.unwrap_or_else(|error| Err(error.detail)));
            }
        }
        ways
    }

    async fn remove_user(&self, lease: &Lease, ways: &Ways) -> Result<(), String> {
        let way = ways.get(&lease.target).ok_or("there is no such target")?;
        let (target, way) = way.as_ref().map_err(Clone::clone)?;
        check_server(target, lease)?;
        let _turn = self.turn_at(&lease.target).await;
        let order = way.order(self.0.clock.now().0);
        faults::before("lease.revoke").await;
        let revoked = self
            .0
            .connectors
            .issuer
            .revoke(order, &lease.username, &lease.template)
            .await;
        let revoked = faults::heard("lease.revoke", revoked).await;
        revoked.map_err(|error| error.to_string())
    }

    /// Rows of users that are gone go too; the others are tried again.
    async fn settle_leases(&self, role: &Name, tried: &[Tried]) -> Result<()> {
        let request = Request::of_job(JOB, self.request_id());
        let ids: Vec<LeaseId> = tried.iter().map(|(id, ..)| id.clone()).collect();
        let asked = self.about_leases(Action::LeaseEnd, role, &ids);
        let ids = &ids;
        let settled = self
            .change(&request, asked, |attempt| async move {
                let (mut writes, mut effects, mut gone) = (Vec::new(), Vec::new(), 0);
                for (id, old) in self.found_of(ids).await? {
                    // Another may have taken it since, or have been told to.
                    let mine = tried
                        .iter()
                        .find(|(tried, lease, _)| *tried == id && *lease == old.body);
                    match mine {
                        Some((.., Ok(()))) => {
                            gone += 1;
                            writes.push(remove(&old.record));
                            effects.push(effect(Action::LeaseEnd, &old.body, &id));
                        }
                        Some((.., Err(reason))) => {
                            let lease = old.body.fails(reason, attempt.now);
                            writes.push(self.write_lease(Some(&old.record), &id, &lease)?);
                            effects.push(effect(Action::LeaseFail, &lease, &id));
                            if lease.is_stuck() && !old.body.is_stuck() {
                                writes.extend(self.notices(stuck(role, reason, attempt.now)).await?);
                            }
                        }
                        None => {}
                    }
                }
                if let Some(old) = self.count_of(role).await?.filter(|_| gone > 0) {
                    writes.push(self.write_count(Some(&old.record), role, old.body.less(gone))?);
                }
                if effects.is_empty() {
                    return Err(Error::from(Code::Unsettled));
                }
                faults::before("lease.settle").await;
                Ok(Decided::Write(Decision {
                    fresh: Vec::new(),
                    writes,
                    touches: Vec::new(),
                    effects,
                    answer: (),
                }))
            })
            .await;
        match settled {
            Err(error) if error.code == Code::Unsettled => Ok(()),
            settled => settled,
        }
    }

    /// The user was not made, as far as is known: it is taken back all the same.
    pub(super) async fn not_made(&self, id: &LeaseId, reason: &str) -> Result<()> {
        let request = Request::of_job(JOB, self.request_id());
        self.edit_lease(&request, Action::LeaseFail, id, |attempt, lease| async move {
            Ok(lease.not_made(reason, attempt.now))
        })
        .await
        .map(drop)
    }

    /// Takes back one that was told to end. How it is after a while, or none: it is gone.
    pub(super) async fn await_end(&self, mut told: LeaseView) -> Result<Option<LeaseView>> {
        if self.is_held().await? {
            return Ok(Some(told));
        }
        let (broker, ending, failures) = (self.clone(), told.id.clone(), told.lease.failures());
        tokio::spawn(async move {
            let ended = match broker.load_lease(&ending).await {
                Ok(Some(lease)) => broker.end_batch(&lease.body.role, &[ending]).await,
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                tracing::warn!(?error, "the end of a lease was put off");
            }
        });
        let began = Instant::now();
        while began.elapsed() < AWAITED {
            tokio::time::sleep(LOOK_AGAIN).await;
            let Some(found) = self.load_lease(&told.id).await? else {
                return Ok(None);
            };
            told.lease = found.body;
            if told.lease.failures() > failures {
                break;
            }
        }
        Ok(Some(told))
    }

    /// For whoever may manage its role: `forget_lease`.
    pub async fn abandon_lease(&self, request: &Request, id: &LeaseId) -> Result<()> {
        self.forget_lease(request, id, |attempt, role| {
            attempt.authorise(Access::LeaseRole(role, Capability::Manage))
        })
        .await
    }

    /// Forgets one whose user could not be taken back, as where its server is gone for good. The user stays where it is.
    async fn forget_lease(
        &self,
        request: &Request,
        id: &LeaseId,
        may: impl Fn(&Attempt, &Name) -> Result<()> + Sync,
    ) -> Result<()> {
        let (action, may) = (Action::LeaseAbandon, &may);
        self.change(request, self.about_one(action, id), |attempt| async move {
            let old = self.load_lease(id).await?.ok_or_else(no_lease)?;
            let role = &old.body.role;
            may(&attempt, role)?;
            if old.body.failures() == 0 {
                return Err(Error::new(
                    Code::Conflict,
                    "Nobody has tried in vain to take back its user: end the lease, and abandon it where that fails.",
                ));
            }
            let mut writes = vec![remove(&old.record)];
            if let Some(count) = self.count_of(role).await? {
                writes.push(self.write_count(Some(&count.record), role, count.body.less(1))?);
            }
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes,
                touches: Vec::new(),
                effects: vec![effect(action, &old.body, id)],
                answer: (),
            }))
        })
        .await
    }

    /// Tells all leases of this namespace to end, which is then due; with `abandon`, those that could not be taken back are
    /// forgotten. An error: some have not ended yet.
    pub(crate) async fn end_all_leases(&self, abandon: bool) -> Result<()> {
        let request = Request::of_job(JOB, self.request_id());
        let mut after = String::new();
        loop {
            let now = self.0.clock.now();
            let found = self.0.store.list(now, self.namespace(), Kind::Lease, "", &after, 100);
            let found = self.ask(found).await?.value;
            let Some(last) = found.last() else {
                return if after.is_empty() {
                    Ok(())
                } else {
                    Err(Error::new(Code::TargetFailed, "Leases of it have not ended yet."))
                };
            };
            after.clone_from(&last.name);
            for record in found {
                let Checked { record, body } = match self.check::<Lease>(record) {
                    Ok(found) => found,
                    // One that cannot be read holds up the namespace, and no other lease.
                    Err(error) => {
                        tracing::warn!(?error, "a lease of a deleted namespace was not told to end");
                        continue;
                    }
                };
                let id = LeaseId::of_row(&record.name).ok_or_else(|| Error::internal("a lease without an id"))?;
                let told = match body.state {
                    LeaseState::Ending(_) if abandon && body.failures() > 0 => {
                        self.forget_lease(&request, &id, |_, _| Ok(())).await
                    }
                    LeaseState::Ending(_) => continue,
                    LeaseState::Planned { .. } | LeaseState::Live => {
                        let end =
                            |attempt: Attempt, lease: Lease| async move { Ok(lease.end(Ended::Revoked, attempt.now)) };
                        let told = self.edit_lease(&request, Action::LeaseRevoke, &id, end);
                        told.await.map(drop)
                    }
                };
                match told {
                    // It ended meanwhile.
                    Err(error) if error.code == Code::NotFound => {}
                    told => told?,
                }
            }
        }
    }
}

fn stuck(role: &Name, reason: &str, at: Time) -> Happened {
    Happened {
        event: Event::LeaseStuck,
        at,
        about: role.to_string(),
        version: None,
        due: None,
        reason: Some(reason.to_owned()),
    }
}
