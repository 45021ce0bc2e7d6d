//! Writing secrets, one or several in one change.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::policy::Capability;
use strongroom_domain::row::RowKey;
use strongroom_domain::secret::{Head, NewVersion, Selector, VersionEntry};
use strongroom_domain::{
    Code, Error, Kind, ObjectId, Payload, Record, Result, Row, SecretPath, Time, Version, Write, secret,
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::Broker;
use crate::cache::{CachedSecret, Fresh};
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::record::{Attempt, Effect};
use crate::request::Request;
use crate::rows::{Checked, touch};

#[derive(Debug)]
pub struct PutSecret {
    pub path: SecretPath,
    pub payload: Payload,
    /// Compared with the number of the current version; 0: none.
    pub cas: Option<i64>,
    /// The client's id, which makes the write idempotent.
    pub id: Option<String>,
    /// Which labels go to the new version; `None`: `current`.
    pub labels: Option<Vec<String>>,
    /// Write nothing where the current value is the same.
    pub unless_same: bool,
}

impl PutSecret {
    pub(crate) fn check(&self, payload_bytes: usize) -> Result<()> {
        self.payload.check_size(payload_bytes)?;
        self.id.as_deref().map(secret::check_version_id).transpose()?;
        self.labels
            .iter()
            .flatten()
            .try_for_each(|label| secret::check_label(label))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Written {
    pub path: String,
    pub version: i64,
    pub id: String,
    pub created_at: Time,
    /// Nothing was written: the current value is this one.
    pub unchanged: bool,
    /// Made by this request, and not by an earlier one with the same id.
    #[serde(skip)]
    pub fresh: bool,
}

/// What one put comes to.
enum Put {
    Write(Decision<Written>),
    Same(Written),
}

impl Broker {
    pub async fn put(&self, request: &Request, mut put: PutSecret) -> Result<Written> {
        let id = match &put.id {
            Some(id) => ChangeId::Client(id.clone()),
            None => ChangeId::Version(put.id.insert(self.new_id().to_string()).clone()),
        };
        let mut done = self.put_all(request, Action::SecretWrite, vec![put], id).await?;
        done.pop().ok_or_else(|| Error::from(Code::Internal))
    }

    /// All of them, in one change, or none. An error names the path it is about.
    pub async fn put_many(&self, request: &Request, puts: Vec<PutSecret>) -> Result<Vec<Written>> {
        self.put_all(request, Action::SecretImport, puts, self.change_id(request))
            .await
    }

    async fn put_all(
        &self,
        request: &Request,
        action: Action,
        puts: Vec<PutSecret>,
        id: ChangeId,
    ) -> Result<Vec<Written>> {
        let one = match puts.as_slice() {
            [put] => put.path.to_string(),
            _ => String::new(),
        };
        let needs = puts
            .iter()
            .map(|put| {
                [Capability::Create, Capability::Update]
                    .map(|capability| Access::Secret(&put.path, capability))
                    .to_vec()
            })
            .collect();
        let asked = Asked {
            action,
            path: one,
            locks: puts
                .iter()
                .map(|put| self.key(Kind::Secret, put.path.as_str()))
                .collect(),
            id,
            fingerprint: fingerprint(&puts),
            needs,
        };
        let puts = puts.as_slice();
        self.change(request, asked, |attempt| async move {
            self.decide_puts(&attempt, puts).await
        })
        .await
    }

    async fn decide_puts(&self, attempt: &Attempt, puts: &[PutSecret]) -> Result<Decided<Vec<Written>>> {
        let keys: Vec<_> = puts
            .iter()
            .map(|put| self.key(Kind::Secret, put.path.as_str()))
            .collect();
        // What the node remembers may be old. It will do where all is written, since a write compares the row's counter.
        if attempt.first {
            let remembered: Vec<_> = keys.iter().map_while(|key| self.0.node.secret(key)).collect();
            if remembered.len() == keys.len() {
                let heads = remembered.iter().map(|secret| &secret.head);
                if let Ok(Decided::Write(decision)) = self.decide_from(attempt, puts, heads).await
                    && decision.touches.len() == puts.len()
                {
                    return Ok(Decided::Write(decision));
                }
            }
        }
        let heads = self.load_keys::<Head>(&keys).await?.value;
        self.decide_from(attempt, puts, heads.iter()).await
    }

    /// The removal of a version's row.
    pub(crate) fn forget(&self, owner: ObjectId, entry: &VersionEntry) -> Write {
        Write::Remove(RowKey::Version(self.namespace(), owner, entry.number), entry.rev)
    }

    async fn decide_from(
        &self,
        attempt: &Attempt,
        puts: &[PutSecret],
        heads: impl Iterator<Item = &Checked<Head>>,
    ) -> Result<Decided<Vec<Written>>> {
        let heads: HashMap<&str, &Checked<Head>> = heads.map(|head| (head.record.name.as_str(), head)).collect();
        let (mut fresh, mut writes) = (Vec::new(), Vec::new());
        let (mut touches, mut effects) = (Vec::new(), Vec::new());
        let mut answer = Vec::with_capacity(puts.len());
        for put in puts {
            let head = heads.get(put.path.as_str()).copied();
            match self.decide_put(attempt, put, head).await? {
                Put::Same(written) => answer.push(written),
                Put::Write(one) => {
                    fresh.extend(one.fresh);
                    writes.extend(one.writes);
                    touches.extend(one.touches);
                    effects.extend(one.effects);
                    answer.push(one.answer);
                }
            }
        }
        if writes.is_empty() {
            return Ok(Decided::Nothing(answer));
        }
        Ok(Decided::Write(Decision {
            fresh,
            writes,
            touches,
            effects,
            answer,
        }))
    }

    async fn decide_put(&self, attempt: &Attempt, put: &PutSecret, old: Option<&Checked<Head>>) -> Result<Put> {
        let capability = if old.is_some() {
            Capability::Update
        } else {
            Capability::Create
        };
        attempt.authorise(Access::Secret(&put.path, capability))?;
        put.check(self.0.settings.payload_bytes)?;
        if put.unless_same {
            // Whoever may not read a value may not learn whether a guess is right either.
            attempt.authorise(Access::Secret(&put.path, Capability::Read))?;
        }
        if let Some(same) = self.same(attempt, put, old).await? {
            return Ok(Put::Same(same));
        }
        let head = old.map_or_else(|| Head::new(attempt.now), |old| old.body.clone());
        self.add_version(attempt, Action::SecretWrite, put, old.map(|old| &old.record), head)
            .map(Put::Write)
    }

    /// What a put writes, once it is allowed and needed: a version of the head, which replaces the record if there is one.
    pub(crate) fn add_version(
        &self,
        attempt: &Attempt,
        action: Action,
        put: &PutSecret,
        old: Option<&Record>,
        mut head: Head,
    ) -> Result<Decision<Written>> {
        let owner = old.map_or_else(|| self.new_id(), |old| old.id);
        let blank = Version::blank(self.namespace(), owner, head.next);
        let keys = self.0.ring.keys.load();
        let version = keys
            .seal_version(blank, put.path.as_str(), self.0.entropy.bytes(), &put.payload)
            .map_err(Error::internal)?;
        let id = put.id.clone().unwrap_or_else(|| self.new_id().to_string());
        let new = NewVersion {
            id: id.clone(),
            digest: version.digest(),
            by: attempt.session.principal,
            cas: put.cas,
            labels: put.labels.clone(),
        };
        let (number, forgotten) = head
            .put(new, self.0.settings.max_versions, attempt.now)
            .map_err(|error| about(&put.path, error))?;
        let (record, write) = self.write_head(old, owner, &put.path, &head)?;
        let forgotten = forgotten.iter().map(|entry| self.forget(owner, entry));
        let writes = [write, Write::Insert(Row::Version(version.clone()))]
            .into_iter()
            .chain(forgotten)
            .collect();
        let (key, digest) = (record.key(), record.digest());
        let fresh = (head.current() == number).then(|| {
            let head = Checked::new(record, head);
            Fresh::Secret(key.clone(), Arc::new(CachedSecret::new(head, Some(version))))
        });
        Ok(Decision {
            fresh: fresh.into_iter().collect(),
            writes,
            touches: vec![touch(key, action, Some(number))],
            effects: vec![Effect {
                action,
                path: put.path.to_string(),
                version: Some(number),
                digest: Some(digest),
            }],
            answer: Written {
                path: put.path.to_string(),
                version: number,
                id,
                created_at: attempt.now,
                unchanged: false,
                fresh: true,
            },
        })
    }

    /// A version that makes this put unnecessary: one with its id, or, if asked, a current one with its value.
    async fn same(&self, attempt: &Attempt, put: &PutSecret, old: Option<&Checked<Head>>) -> Result<Option<Written>> {
        let Some(old) = old else { return Ok(None) };
        if let Some(entry) = put.id.as_deref().and_then(|id| old.body.entry_by_id(id)) {
            // Compared by opening: no digest of a plaintext is kept.
            let own = entry.created_by == attempt.session.principal;
            return if own && self.holds(attempt, old, entry, put).await? {
                Ok(Some(written(put, entry, false)))
            } else {
                Err(Error::from(Code::ChangeIdReused))
            };
        }
        if put.unless_same
            && let Ok(entry) = old.body.select(&Selector::default(), attempt.now)
            && self.holds(attempt, old, entry, put).await?
        {
            old.body.check_cas(put.cas).map_err(|error| about(&put.path, error))?;
            return Ok(Some(written(put, entry, true)));
        }
        Ok(None)
    }

    async fn holds(
        &self,
        attempt: &Attempt,
        old: &Checked<Head>,
        entry: &VersionEntry,
        put: &PutSecret,
    ) -> Result<bool> {
        if entry.state == strongroom_domain::secret::State::Destroyed {
            return Ok(false);
        }
        let (row, _) = self.load_version(attempt.now, old.record.id, entry).await?;
        let payload = self.open_payload(&row, put.path.as_str()).await?;
        Ok(payload.kind == put.payload.kind && bool::from(payload.bytes.ct_eq(&put.payload.bytes)))
    }
}

fn written(put: &PutSecret, entry: &VersionEntry, unchanged: bool) -> Written {
    Written {
        path: put.path.to_string(),
        version: entry.number,
        id: entry.id.clone(),
        created_at: entry.created_at,
        unchanged,
        fresh: false,
    }
}

fn about(path: &SecretPath, error: Error) -> Error {
    Error {
        detail: format!("{path}: {}", error.detail),
        ..error
    }
}

fn fingerprint(puts: &[PutSecret]) -> Zeroizing<Vec<u8>> {
    let mut canon = Canon::new("secret.write");
    for put in puts {
        canon = canon
            .text(put.path.as_str())
            .int(put.payload.kind.number().into())
            .bytes(&put.payload.bytes)
            .maybe_int(put.cas)
            .maybe_bytes(put.id.as_deref().map(str::as_bytes))
            .maybe_bytes(
                put.labels
                    .as_ref()
                    .map(|labels| labels.join("\0"))
                    .as_deref()
                    .map(str::as_bytes),
            )
            .byte(put.unless_same.into());
    }
    Zeroizing::new(canon.done())
}
