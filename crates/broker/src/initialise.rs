//! Initialising an installation: keys, the namespace `root`, and a root token meant to be revoked. One winner.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use secrecy::{ExposeSecret, SecretString};
use strongroom_crypto::{Keys, SlotPlace, Unlock};
use strongroom_domain::audit::{
    Action, Batch, BatchId, Dialect, Entry, Lane, OutcomeKind, SealedBatch, StoredEntry, merkle,
};
use strongroom_domain::grant::{Generation, NamespaceBody, Principal, PrincipalKind, Token};
use strongroom_domain::ids::RequestId;
use strongroom_domain::manifest::{TOP, key};
use strongroom_domain::row::Key;
use strongroom_domain::{
    Change, Digest, Error, Kind, NamespaceId, ObjectId, Outcome, PrincipalId, Record, Result, Revision, Row, RowRev,
    Time, Write,
};
use strongroom_ports::{Clock, Entropy, Store, StoreError, Upkeep, Verdict};

use crate::manifest::{Manifest, Scribe, listed};
use crate::rows::{store_failed, touch};
use crate::tokens::SERVICE_TOKEN_PREFIX;

pub(crate) const ROOT: &str = "root";
pub(crate) const RING: &str = "ring";
/// Of an installation's manifest.
const FIRST_NUMBER: i64 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initialised {
    /// This call did it: the root token holds from now on.
    Now,
    /// It was done before, by another call: this one's token holds nothing.
    Before,
}

/// A root token for [`initialise`]. Put it where it will be found before that, so that a crash between the two loses nothing.
pub fn new_root_token(entropy: &dyn Entropy) -> SecretString {
    format!(
        "{SERVICE_TOKEN_PREFIX}{}",
        BASE64URL_NOPAD.encode(&entropy.bytes::<32>())
    )
    .into()
}

struct Maker<'a> {
    namespace: NamespaceId,
    keys: &'a Keys,
    entropy: &'a (dyn Entropy + 'a),
}

impl Maker<'_> {
    fn record(&self, kind: Kind, id: ObjectId, name: &str, body: Vec<u8>) -> Result<Record> {
        let record = Record {
            body,
            ..Record::blank(Key::new(self.namespace, kind, name), id)
        };
        self.keys.mac_record(record).map_err(Error::internal)
    }

    fn json(&self, kind: Kind, name: &str, body: &impl serde::Serialize) -> Result<Record> {
        let body = serde_json::to_vec(body).map_err(Error::internal)?;
        self.record(kind, ObjectId(self.entropy.bytes()), name, body)
    }
}

/// Makes keys and root token, unless that was done before. Of two at once, one does it. Each of `unlocks` is to open the
/// installation, by a slot named as its method.
pub async fn initialise(
    store: &Arc<dyn Store>,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    unlocks: &[Unlock],
    token: &SecretString,
) -> Result<Initialised> {
    let now = clock.now();
    if !store
        .of_kind(now, Kind::KeySlot)
        .await
        .map_err(store_failed)?
        .value
        .is_empty()
    {
        return Ok(Initialised::Before);
    }
    // Before the first entry, which would else lie in the default partition and keep its month's from being made.
    store.upkeep(now, Upkeep::MakePartitions).await.map_err(store_failed)?;
    let namespace = NamespaceId(entropy.bytes());
    let format = store.schema().writes();
    let keys = Keys::generate(namespace, format, now, &|| entropy.bytes()).map_err(Error::internal)?;
    let maker = Maker {
        namespace,
        keys: &keys,
        entropy,
    };
    let principal = PrincipalId(entropy.bytes());
    let records = first_records(&maker, unlocks, token.expose_secret(), principal, now)?;
    let digest = records.first().map(Record::digest);
    let scribe = Scribe { keys: &keys, entropy };
    let (_, writes) = Manifest::empty(namespace).next(listed(&records), FIRST_NUMBER, None, &scribe)?;
    let top = key(namespace, TOP);
    let inserts = records.iter().map(|record| Write::Insert(Row::Record(record.clone())));
    let change = Change {
        writes: inserts.chain(writes).collect(),
        touches: records
            .iter()
            .map(|record| touch(record.key(), Action::Initialise, None))
            .chain([touch(top, Action::Initialise, Some(FIRST_NUMBER))])
            .collect(),
    };
    let batch = first_batch(&maker, principal, digest, now)?;
    let mut seal = |_: &_, _: &[_]| Verdict::Commit(batch.clone());
    match store
        .apply(Lane::Changes, now, &[change], Revision(i64::MAX), &mut seal)
        .await
    {
        Ok(applied) if applied.outcomes.first() == Some(&Some(Outcome::Applied)) => Ok(Initialised::Now),
        // Somebody else's rows, or their first batch, stand there.
        Ok(_) | Err(StoreError::BatchTaken) => Ok(Initialised::Before),
        Err(error) => Err(store_failed(error)),
    }
}

fn first_records(
    maker: &Maker<'_>,
    unlocks: &[Unlock],
    token: &str,
    principal: PrincipalId,
    now: Time,
) -> Result<Vec<Record>> {
    let (namespace, keys, entropy) = (maker.namespace, maker.keys, maker.entropy);
    let ring_id = ObjectId(entropy.bytes());
    let ring = keys
        .seal_ring(namespace, ring_id, RowRev::FIRST.0, entropy.bytes())
        .map_err(Error::internal)?;
    let hash = keys.token_hashes(token).map_err(Error::internal)?.into_iter().next();
    let hash = hash.ok_or_else(|| Error::internal("no token-hash key"))?;
    let generation = Generation::first(now);
    let mut records = vec![
        maker.json(
            Kind::Namespace,
            ROOT,
            &NamespaceBody {
                id: namespace,
                created_at: now,
                deleted_at: None,
                abandons_leases: false,
            },
        )?,
        maker.record(Kind::KeyRing, ring_id, RING, ring)?,
        maker.json(
            Kind::Principal,
            &principal.to_string(),
            &Principal {
                kind: PrincipalKind::Operator,
                name: Some(ROOT.into()),
                salt: Digest(entropy.bytes()),
                generation,
                created_at: now,
                erased_at: None,
            },
        )?,
        maker.json(
            Kind::Token,
            &hash.to_string(),
            &Token {
                root: true,
                ..Token::blank(principal, generation, now)
            },
        )?,
    ];
    for unlock in unlocks {
        let row = ObjectId(entropy.bytes());
        let slot = keys
            .wrap(unlock, SlotPlace { namespace, row }, now, &|| entropy.bytes())
            .map_err(Error::internal)?;
        let body = serde_json::to_vec(&slot).map_err(Error::internal)?;
        records.push(maker.record(Kind::KeySlot, row, unlock.method().name(), body)?);
    }
    Ok(records)
}

/// The log's first batch. Its number is fixed, so that only one initialisation can commit.
fn first_batch(maker: &Maker<'_>, principal: PrincipalId, digest: Option<Digest>, now: Time) -> Result<SealedBatch> {
    let id = BatchId::new(0, Lane::Changes, 1);
    let entry = Entry {
        at: now,
        request: RequestId(maker.entropy.bytes()),
        dialect: Dialect::Internal,
        action: Action::Initialise,
        outcome: OutcomeKind::Granted,
        reason: 0,
        principal: Some(principal),
        who: Digest::ZERO,
        namespace: maker.namespace,
        path: String::new(),
        version: Some(FIRST_NUMBER),
        digest,
        count: 1,
    };
    let batch = Batch {
        id,
        class: Lane::Changes.class(),
        at: now,
        count: 1,
        root: merkle::root(&[merkle::leaf(&entry.canonical())]),
        previous: Digest::ZERO,
        key: 0,
        mac: Digest::ZERO,
    };
    let batch = maker.keys.mac_batch(batch).map_err(Error::internal)?;
    Ok(SealedBatch {
        batch,
        entries: vec![StoredEntry {
            batch: id,
            place: 0,
            entry,
            accessor: None,
            source: None,
        }],
    })
}
