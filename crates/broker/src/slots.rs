//! Key slots: what opens this installation. Each wraps the ring's key, so that one can be added or taken away while
//! nodes serve; they hold the opened ring and need no slot until they start again.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use strongroom_crypto::{MIN_PASSPHRASE, Passphrase, RecoveryKey, RootKey, SlotBody, SlotPlace, Unlock};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::{Code, Error, Kind, Name, Result, Row, SlotMethod, Time, Write};
use zeroize::Zeroizing;

use crate::Broker;
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::record::{Effect, Served};
use crate::request::Request;
use crate::rows::{Checked, remove, touch};

/// What is to open the installation too.
#[derive(Debug)]
pub struct NewSlot {
    pub name: Name,
    /// Keys are made here; a passphrase comes with it.
    pub method: SlotMethod,
    pub passphrase: Option<SecretString>,
}

#[derive(Debug, Clone)]
pub struct SlotView {
    pub name: String,
    pub method: SlotMethod,
    pub created_at: Time,
}

/// A slot that was added, and the key that was made for it: it is told this once, and kept nowhere.
pub struct SlotAdded {
    pub slot: SlotView,
    pub key: Option<SecretString>,
}

impl std::fmt::Debug for SlotAdded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SlotAdded({:?})", self.slot)
    }
}

/// More would only be forgotten about.
pub(crate) const MAX_SLOTS: usize = 16;

fn view(slot: &Checked<SlotBody>) -> SlotView {
    SlotView {
        name: slot.record.name.clone(),
        method: slot.body.method(),
        created_at: slot.body.created_at,
    }
}

impl Broker {
    /// What opens this installation, by name. The keys themselves are kept nowhere.
    pub async fn slots(&self, request: &Request) -> Result<Vec<SlotView>> {
        let access = Access::Slots;
        self.serve(request, Action::SlotRead, "", |attempt| async move {
            attempt.authorise(access)?;
            let slots = self.load_slots().await?;
            let root = vec![self.within(self.0.root).manifest_key()];
            Ok(Served::resting_on(root, slots.iter().map(view).collect()))
        })
        .await
    }

    /// Whether this key opens a slot: asked for before a node is stopped that still runs.
    pub async fn opens(&self, request: &Request, method: SlotMethod, key: &SecretString) -> Result<bool> {
        let unlock = Unlock::parse(method, key.expose_secret());
        let unlock = Arc::new(unlock.map_err(|error| Error::invalid(format!("'key' cannot be used: {error}.")))?);
        let unlock = &unlock;
        self.serve(request, Action::SlotRead, "", |attempt| async move {
            attempt.authorise(Access::Slots)?;
            let slots = self.load_slots().await?;
            let place = |slot: &Checked<SlotBody>| SlotPlace {
                namespace: slot.record.namespace,
                row: slot.record.id,
            };
            let (keys, unlock) = (self.0.ring.keys.load_full(), unlock.clone());
            // A passphrase is slow to stretch.
            let tried = tokio::task::spawn_blocking(move || {
                slots
                    .iter()
                    .any(|slot| keys.opened_by(&unlock, &slot.body, place(slot)))
            });
            Ok(Served::fresh(tried.await.map_err(Error::internal)?))
        })
        .await
    }

    async fn load_slots(&self) -> Result<Vec<Checked<SlotBody>>> {
        let list = || async move { self.ask(self.0.store.of_kind(self.0.clock.now(), Kind::KeySlot)).await };
        let root = self.within(self.0.root);
        let found = root.read_rows(
            Kind::KeySlot,
            list,
            |record| record.kind == Kind::KeySlot,
            |manifest, found| manifest.judge_page(Kind::KeySlot, "", false, found),
        );
        Ok(found.await?.value.held)
    }

    /// Adds a slot. Its key stands in no answer that is kept: a repeat finds the name taken, whatever its change id.
    pub async fn add_slot(&self, request: &Request, new: NewSlot) -> Result<SlotAdded> {
        let (name, unlock, key) = self.unlock_of(new)?;
        let name = &name;
        let access = Access::Slot(name);
        let asked = Asked {
            action: Action::SlotAdd,
            path: name.to_string(),
            locks: vec![self.key(Kind::KeySlot, name.as_str())],
            id: ChangeId::Version(self.new_id().to_string()),
            fingerprint: Vec::new().into(),
            needs: vec![vec![access]],
        };
        let unlock = &Arc::new(unlock);
        let created_at = self
            .change(request, asked, |attempt| async move {
                attempt.authorise(access)?;
                let there = self.load_slots().await?;
                if there.iter().any(|slot| slot.record.name == name.as_str()) {
                    return Err(Error::new(Code::Conflict, format!("There is a slot '{name}' already.")));
                }
                if there.len() >= MAX_SLOTS {
                    return Err(Error::new(
                        Code::LimitReached,
                        format!("There are {MAX_SLOTS} key slots. Remove one first."),
                    ));
                }
                let row = self.new_id();
                let place = SlotPlace {
                    namespace: self.namespace(),
                    row,
                };
                let body = self.wrap(unlock.clone(), place, attempt.now).await?;
                let record = self.new_record(Kind::KeySlot, row, name.as_str(), None, &body)?;
                Ok(Decided::Write(Decision {
                    fresh: Vec::new(),
                    touches: vec![touch(record.key(), Action::SlotAdd, None)],
                    effects: vec![Effect {
                        digest: Some(record.digest()),
                        ..Effect::new(Action::SlotAdd, name.as_str())
                    }],
                    writes: vec![Write::Insert(Row::Record(record))],
                    answer: body.created_at,
                }))
            })
            .await?;
        Ok(SlotAdded {
            slot: SlotView {
                name: name.to_string(),
                method: unlock.method(),
                created_at,
            },
            key,
        })
    }

    /// What opens the new slot, and its key as text if that is made here.
    fn unlock_of(&self, new: NewSlot) -> Result<(Name, Unlock, Option<SecretString>)> {
        let shown = |text: Zeroizing<String>| Some(SecretString::from(text.as_str()));
        let (unlock, key) = match (new.method, new.passphrase) {
            (SlotMethod::File, None) => {
                let key = RootKey::new(self.0.entropy.bytes());
                let text = shown(key.to_text());
                (Unlock::RootKey(key), text)
            }
            (SlotMethod::Recovery, None) => {
                let key = RecoveryKey::new(self.0.entropy.bytes());
                let text = shown(key.to_text());
                (Unlock::Recovery(key), text)
            }
            (SlotMethod::Passphrase, Some(text)) => {
                let passphrase = Passphrase::parse(text.expose_secret())
                    .map_err(|_| Error::invalid(format!("'passphrase' has at least {MIN_PASSPHRASE} characters.")))?;
                (Unlock::Passphrase(passphrase), None)
            }
            (SlotMethod::Passphrase, None) => return Err(Error::invalid("'passphrase' is missing.")),
            (_, Some(_)) => return Err(Error::invalid("'passphrase' is for the method 'passphrase' alone.")),
        };
        Ok((new.name, unlock, key))
    }

    /// On a thread of its own: a passphrase takes a tenth of a second to stretch.
    async fn wrap(&self, unlock: Arc<Unlock>, place: SlotPlace, now: Time) -> Result<SlotBody> {
        let (keys, entropy) = (self.0.ring.keys.load_full(), self.0.entropy.clone());
        let wrapped = tokio::task::spawn_blocking(move || keys.wrap(&unlock, place, now, &|| entropy.bytes()));
        wrapped.await.map_err(Error::internal)?.map_err(Error::internal)
    }

    /// Takes a slot away. Nodes go on serving; what opened it starts none any more. The last one stays.
    pub async fn remove_slot(&self, request: &Request, name: &Name) -> Result<()> {
        let (action, access) = (Action::SlotRemove, Access::Slot(name));
        let asked = Asked {
            action,
            path: name.to_string(),
            // One at a time, so that two removals cannot each leave the other's slot.
            locks: vec![self.ring_key()],
            id: self.change_id(request),
            fingerprint: Canon::new(action.name()).text(name.as_str()).done().into(),
            needs: vec![vec![access]],
        };
        self.change(request, asked, |attempt| async move {
            attempt.authorise(access)?;
            let mut slots = self.load_slots().await?;
            let at = slots.iter().position(|slot| slot.record.name == name.as_str());
            let at = at.ok_or_else(|| Error::new(Code::NotFound, "There is no such key slot."))?;
            let gone = slots.swap_remove(at);
            let Some(stays) = slots.first() else {
                return Err(Error::new(
                    Code::Conflict,
                    "This is the last key slot: without it nothing opens this installation. Add another first.",
                ));
            };
            if Some(gone.record.id) == self.0.ring.slot {
                return Err(Error::new(
                    Code::Conflict,
                    format!(
                        "This node was opened by the slot '{name}' and could not start again: restart it with another key \
                         first, or ask a node that another key has opened."
                    ),
                ));
            }
            // The one that stays is written anew as it is: were it removed meanwhile, on another node, it would not compare.
            let kept = self.next_record(&stays.record, &stays.body)?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: vec![
                    remove(&gone.record),
                    Write::Replace(stays.record.rev, Row::Record(kept)),
                ],
                touches: vec![touch(gone.record.key(), action, None)],
                effects: vec![Effect::new(action, name.as_str())],
                answer: (),
            }))
        })
        .await
    }
}
