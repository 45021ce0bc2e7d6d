//! After a restore, nothing is done at systems outside until an operator says so: this may be a copy, and the one that it was made
//! from works on them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};
use strongroom_crypto::Keys;
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::row::Key;
use strongroom_domain::{Code, Error, Kind, NamespaceId, ObjectId, Record, Result, Row, Time, Write};
use strongroom_ports::Store;

use crate::Broker;
use crate::accept::check_reason;
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::record::Effect;
use crate::request::Request;
use crate::rows::{broken, parse, remove, store_failed};

const OUTSIDE: &str = "outside";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Hold {
    since: Time,
}

pub(crate) fn hold_key(root: NamespaceId) -> Key {
    Key::new(root, Kind::Hold, OUTSIDE)
}

pub(crate) fn hold_row(keys: &Keys, root: NamespaceId, id: ObjectId, since: Time) -> Result<Record> {
    let record = Record {
        body: serde_json::to_vec(&Hold { since }).map_err(Error::internal)?,
        ..Record::blank(hold_key(root), id)
    };
    keys.mac_record(record).map_err(Error::internal)
}

/// What lets it go on.
pub const LIFT: &str =
    "Where this installation is to go on with them, run 'strongroom operator lift-hold --reason REASON'.";

/// Of an installation on which no node needs to run.
pub(crate) async fn held_since(
    store: &Arc<dyn Store>,
    now: Time,
    keys: &Keys,
    root: NamespaceId,
) -> Result<Option<Time>> {
    let hold = hold_key(root);
    let found = store
        .find(now, std::slice::from_ref(&hold))
        .await
        .map_err(store_failed)?;
    let Some(record) = found.value.into_iter().find(|record| record.key() == hold) else {
        return Ok(None);
    };
    keys.check_record(&record).map_err(|error| broken(Kind::Hold, error))?;
    Ok(Some(parse::<Hold>(record)?.body.since))
}

impl Broker {
    /// That a restore holds what is outside, and what lets it go on, as this node saw it last.
    pub(crate) fn hold_seen(&self) -> Option<String> {
        let held = self.is_held_seen();
        held.then(|| format!("Since a restore nothing is done at systems outside. {LIFT}"))
    }

    /// Whether a restore holds what is outside, as this node saw it last.
    pub fn is_held_seen(&self) -> bool {
        self.0.stats.held.load(Ordering::Relaxed)
    }

    /// Also where grants were put back, which is when it is written.
    async fn hold(&self) -> Result<Option<Record>> {
        let keys = [hold_key(self.0.root)];
        let found = self.ask(self.0.store.find(self.0.clock.now(), &keys)).await?.value;
        let found = found.into_iter().find(|record| keys.contains(&record.key()));
        if let Some(record) = &found {
            self.check_mac(record)?;
        }
        self.0.stats.held.store(found.is_some(), Ordering::Relaxed);
        Ok(found)
    }

    pub(crate) async fn is_held(&self) -> Result<bool> {
        Ok(self.hold().await?.is_some())
    }

    pub(crate) async fn check_not_held(&self) -> Result<()> {
        let Some(hold) = self.hold().await? else { return Ok(()) };
        let since = parse::<Hold>(hold)?.body.since;
        Err(Error::new(
            Code::Conflict,
            format!("Since a restore at {since} nothing is done at systems outside. {LIFT}"),
        ))
    }

    /// As from now, if there is none yet.
    pub(crate) async fn write_hold(&self, now: Time) -> Result<Option<Write>> {
        if self.is_held().await? {
            return Ok(None);
        }
        let row = hold_row(&self.0.ring.keys.load(), self.0.root, self.new_id(), now)?;
        Ok(Some(Write::Insert(Row::Record(row))))
    }

    /// Work on systems outside goes on.
    pub async fn lift_hold(&self, request: &Request, reason: &str) -> Result<()> {
        let reason = check_reason(reason)?;
        let asked = Asked {
            action: Action::LiftHold,
            path: reason.to_owned(),
            locks: vec![hold_key(self.0.root)],
            id: ChangeId::Version(self.new_id().to_string()),
            fingerprint: Vec::new().into(),
            needs: vec![vec![Access::Recovery]],
        };
        self.change(request, asked, |attempt| async move {
            attempt.authorise(Access::Recovery)?;
            let held = self.hold().await?;
            let held =
                held.ok_or_else(|| Error::new(Code::Conflict, "Nothing is held: work on systems outside goes on."))?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: vec![remove(&held)],
                touches: Vec::new(),
                effects: vec![Effect::new(Action::LiftHold, reason)],
                answer: (),
            }))
        })
        .await?;
        self.is_held().await.map(drop)
    }
}
