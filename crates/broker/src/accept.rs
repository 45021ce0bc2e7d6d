//! Going on with what was put back: whoever holds the installation's key says that it was meant. Every token is void from
//! then on, and what grants something is what stands there now.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::manifest::{Listed, TOP, key, lists, number_ahead, slot_of_top};
use strongroom_domain::{Error, Kind, NamespaceId, Record, Result, Row, Time, Write};

use crate::Broker;
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::hold::hold_key;
use crate::keys::ring_after;
use crate::manifest::{Manifest, Scribe, listed};
use crate::record::Effect;
use crate::request::Request;
use crate::rows::{remove, touch};

/// Characters of a reason: it stands where an entry has a path.
const REASON: std::ops::RangeInclusive<usize> = 1..=200;

pub(crate) fn check_reason(reason: &str) -> Result<&str> {
    let reason = reason.trim();
    if !REASON.contains(&reason.chars().count()) || reason.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "'reason' has 1 to {} characters, all of them printable.",
            REASON.end()
        )));
    }
    Ok(reason)
}

/// From which manifest on it goes, and how many rows are left out because they fail their check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    pub number: i64,
    pub rows: usize,
    pub broken: usize,
}

/// What stands in the store, whether or not it was put back.
struct Found {
    of: BTreeMap<NamespaceId, Vec<Record>>,
    ring: Record,
    manifests: Vec<Record>,
    broken: usize,
}

impl Broker {
    /// Makes the manifests anew from the rows there are, voids every token, and holds what is outside.
    pub async fn accept_restore(&self, request: &Request, reason: &str) -> Result<Accepted> {
        let reason = check_reason(reason)?;
        let asked = Asked {
            action: Action::AcceptRestore,
            path: reason.to_owned(),
            locks: vec![self.ring_key(), key(self.0.root, TOP), hold_key(self.0.root)],
            id: ChangeId::Version(self.new_id().to_string()),
            fingerprint: Vec::new().into(),
            needs: vec![vec![Access::Recovery]],
        };
        let accepted = self
            .change(request, asked, |attempt| async move {
                attempt.authorise(Access::Recovery)?;
                let found = self.find_all().await?;
                let hold = self.write_hold(attempt.now).await?;
                self.made_anew(found, hold, reason, attempt.now)
            })
            .await?;
        self.look_again().await?;
        Ok(accepted)
    }

    async fn find_all(&self) -> Result<Found> {
        let of_kind =
            async |kind| Ok::<_, Error>(self.ask(self.0.store.of_kind(self.0.clock.now(), kind)).await?.value);
        let (mut of, mut broken) = (BTreeMap::<_, Vec<_>>::new(), 0);
        for kind in Kind::ALL.iter().filter(|kind| lists(**kind) && **kind != Kind::KeyRing) {
            for row in of_kind(*kind).await? {
                // It cannot be used, so there is nothing to list; each use of it says so.
                if self.check_mac(&row).is_ok() {
                    of.entry(row.namespace).or_default().push(row);
                } else {
                    broken += 1;
                }
            }
        }
        let ring = of_kind(Kind::KeyRing)
            .await?
            .into_iter()
            .find(|row| row.key() == self.ring_key());
        Ok(Found {
            of,
            ring: ring.ok_or_else(|| Error::integrity("The key ring is gone."))?,
            manifests: of_kind(Kind::Manifest).await?,
            broken,
        })
    }

    fn made_anew(&self, mut found: Found, hold: Option<Write>, reason: &str, now: Time) -> Result<Decided<Accepted>> {
        let root = self.0.root;
        let (ring, keys) = self.open_ring(Some(found.ring))?;
        let entropy = &self.0.entropy;
        let keys = keys
            .with_new_token_signing(now, &|| entropy.bytes())
            .map_err(Error::internal)?;
        let expected = ring.rev;
        let ring = ring_after(&ring, &keys, entropy.bytes())?;
        let top = found.manifests.iter().find(|row| row.key() == key(root, TOP));
        let last = top
            .map_or(0, |top| top.rev.0)
            .max(self.0.node.manifests().number_seen());
        let number = number_ahead(last).ok_or_else(|| Error::internal("the manifest's number"))?;
        let rows = found.of.values().map(Vec::len).sum::<usize>() + 1;
        let scribe = Scribe {
            keys: &keys,
            entropy: &**entropy,
        };
        let mut writes: Vec<Write> = found.manifests.iter().map(remove).collect();
        let mut touches = vec![touch(ring.key(), Action::AcceptRestore, None)];
        let mut of_root = listed(&found.of.remove(&root).unwrap_or_default());
        of_root.extend(listed([&ring]));
        for (namespace, rows) in &found.of {
            let empty = Manifest::empty(*namespace);
            let (manifest, inserts) = empty.next(listed(rows), number, Some(now), &scribe)?;
            of_root.extend(
                manifest
                    .top
                    .as_ref()
                    .map(|top| (slot_of_top(*namespace), Some(Listed::of(top)))),
            );
            touches.push(touch(key(*namespace, TOP), Action::AcceptRestore, None));
            writes.extend(inserts);
        }
        let (_, inserts) = Manifest::empty(root).next(of_root, number, Some(now), &scribe)?;
        touches.push(touch(key(root, TOP), Action::AcceptRestore, Some(number)));
        writes.extend(inserts);
        writes.extend(hold);
        writes.push(Write::Replace(expected, Row::Record(ring)));
        Ok(Decided::Write(Decision {
            fresh: Vec::new(),
            writes,
            touches,
            effects: vec![Effect {
                version: Some(number),
                ..Effect::new(Action::AcceptRestore, reason)
            }],
            answer: Accepted {
                number,
                rows,
                broken: found.broken,
            },
        }))
    }
}
