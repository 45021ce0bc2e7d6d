//! Namespaces: tenants, each with its own secrets, policies, roles and keys. They are administered in `root`.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::grant::NamespaceBody;
use strongroom_domain::policy::Capability;
use strongroom_domain::{
    Code, Error, Kind, NamespaceId, NamespaceName, ObjectId, PrincipalId, Record, Result, Row, SecretPath, Time, Write,
    backoff,
};

use crate::Broker;
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::initialise::ROOT;
use crate::record::{Effect, Served};
use crate::request::Request;
use crate::room::no_namespace;
use crate::rows::{Checked, remove, touch};

/// Long enough to make operators and policies, too short to work with.
const SETUP: Duration = Duration::from_hours(1);
const ADMIN: &str = "namespace-admin";
/// Rows of one change that empties a namespace.
const CHUNK: u16 = 100;
/// Whose work that is.
const JOB: &str = "namespaces";
/// Of emptying one right after it was deleted: about nine minutes.
const TRIES: u32 = 8;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NamespaceView {
    pub name: NamespaceName,
    pub id: NamespaceId,
    pub created_at: Time,
    /// Since when its rows are being removed.
    pub deleted_at: Option<Time>,
}

/// A token that may do everything within a namespace, to set it up with.
pub struct SetupToken {
    pub token: SecretString,
    pub accessor: ObjectId,
    pub expires_at: Time,
}

impl std::fmt::Debug for SetupToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SetupToken({})", self.accessor)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Made {
    accessor: ObjectId,
    expires_at: Time,
}

fn view(found: &Checked<NamespaceBody>) -> Result<NamespaceView> {
    Ok(NamespaceView {
        name: NamespaceName::parse(&found.record.name)?,
        id: found.body.id,
        created_at: found.body.created_at,
        deleted_at: found.body.deleted_at,
    })
}

impl Broker {
    pub async fn namespaces(
        &self,
        request: &Request,
        after: &str,
        limit: u16,
    ) -> Result<(Vec<NamespaceView>, Option<String>)> {
        let noun = crate::policies::Noun {
            kind: Kind::Namespace,
            name: "",
            action: Action::NamespaceRead,
            access: Access::Namespaces,
        };
        let (found, next) = self.list_objects::<NamespaceBody>(request, noun, after, limit).await?;
        Ok((found.iter().map(view).collect::<Result<_>>()?, next))
    }

    pub async fn read_namespace(&self, request: &Request, name: &NamespaceName) -> Result<NamespaceView> {
        let access = Access::Namespace(name.as_str(), Capability::Read);
        self.serve(request, Action::NamespaceRead, name.as_str(), |attempt| async move {
            attempt.authorise(access)?;
            let found = self.load_namespace(name).await?.ok_or_else(no_namespace)?;
            Ok(Served::fresh(view(&found)?))
        })
        .await
    }

    async fn load_namespace(&self, name: &NamespaceName) -> Result<Option<Checked<NamespaceBody>>> {
        Ok(self.load::<NamespaceBody>(Kind::Namespace, name.as_str()).await?.value)
    }

    /// Makes a namespace with a data key of its own. One that is there stays as it is.
    pub async fn create_namespace(&self, request: &Request, name: &NamespaceName) -> Result<NamespaceView> {
        let access = Access::Namespace(name.as_str(), Capability::Create);
        let asked = self.about_namespace(request, Action::NamespaceWrite, name, access);
        let made = self
            .change(request, asked, |attempt| async move {
                attempt.authorise(access)?;
                if let Some(there) = self.load_namespace(name).await? {
                    return match there.body.deleted_at {
                        None => Ok(Decided::Nothing(view(&there)?)),
                        Some(_) => Err(Error::new(
                            Code::Conflict,
                            "A namespace of this name is being deleted. Try again later.",
                        )),
                    };
                }
                let id = NamespaceId(self.0.entropy.bytes());
                let entropy = &self.0.entropy;
                let (_, ring, replace) = self
                    .next_ring(attempt.now, |keys, now| {
                        keys.with_data_epoch(id, now, &|| entropy.bytes())
                    })
                    .await?;
                let body = NamespaceBody {
                    id,
                    created_at: attempt.now,
                    deleted_at: None,
                    abandons_leases: false,
                };
                let record = self.new_record(Kind::Namespace, ObjectId(id.0), name.as_str(), None, &body)?;
                let action = Action::NamespaceWrite;
                Ok(Decided::Write(Decision {
                    fresh: Vec::new(),
                    touches: vec![touch(record.key(), action, None), touch(ring.key(), action, None)],
                    effects: vec![Effect {
                        digest: Some(record.digest()),
                        ..Effect::new(action, name.as_str())
                    }],
                    answer: view(&Checked::new(record.clone(), body))?,
                    writes: vec![Write::Insert(Row::Record(record)), replace],
                }))
            })
            .await?;
        self.stand().await?;
        Ok(made)
    }

    fn about_namespace<'a>(
        &self,
        request: &Request,
        action: Action,
        name: &NamespaceName,
        access: Access<'a>,
    ) -> Asked<'a> {
        Asked {
            action,
            path: name.to_string(),
            locks: vec![self.ring_key()],
            id: self.change_id(request),
            fingerprint: Canon::new(action.name()).text(name.as_str()).done().into(),
            needs: vec![vec![access]],
        }
    }

    /// A token of an hour that may do everything within the namespace, to a principal of its own. Whoever may ask for it
    /// can read everything there.
    pub async fn namespace_token(&self, request: &Request, name: &NamespaceName) -> Result<SetupToken> {
        let access = Access::Namespace(name.as_str(), Capability::Sudo);
        let asked = Asked {
            // Its text stands in no answer that is kept.
            id: ChangeId::Version(self.new_id().to_string()),
            locks: Vec::new(),
            ..self.about_namespace(request, Action::NamespaceToken, name, access)
        };
        let Some(room) = self.named(Some(name)).await? else {
            // Told to whoever may ask, and on record.
            self.read_namespace(request, name).await?;
            return Err(no_namespace());
        };
        let (room, principal) = (&room, PrincipalId(self.0.entropy.bytes()));
        let token = &room.new_token_text();
        let made = self
            .change(request, asked, |attempt| async move {
                attempt.authorise(access)?;
                if name.as_str() == ROOT {
                    return Err(Error::new(
                        Code::Conflict,
                        "'root' is the installation's own: whoever holds its key gets a token by 'operator recover-admin'.",
                    ));
                }
                let expires_at = attempt.now + SETUP;
                let (who, row) = room.root_token((principal, ADMIN), token, expires_at, attempt.now)?;
                Ok(Decided::Write(Decision {
                    fresh: Vec::new(),
                    touches: Vec::new(),
                    effects: vec![Effect {
                        digest: Some(row.digest()),
                        ..Effect::new(Action::NamespaceToken, name.as_str())
                    }],
                    answer: Made {
                        accessor: row.id,
                        expires_at,
                    },
                    writes: vec![Write::Insert(Row::Record(who)), Write::Insert(Row::Record(row))],
                }))
            })
            .await?;
        Ok(SetupToken {
            token: token.clone(),
            accessor: made.accessor,
            expires_at: made.expires_at,
        })
    }

    /// Nothing of it is shown from now on. What is in it is removed behind the answer; the log stays.
    /// With `abandon`, leases whose users could not be taken back do not keep it; also where it was deleted before.
    pub async fn delete_namespace(&self, request: &Request, name: &NamespaceName, abandon: bool) -> Result<()> {
        let (action, access) = (
            Action::NamespaceDelete,
            Access::Namespace(name.as_str(), Capability::Delete),
        );
        let asked = Asked {
            fingerprint: Canon::new(action.name())
                .text(name.as_str())
                .byte(abandon.into())
                .done()
                .into(),
            ..self.about_namespace(request, action, name, access)
        };
        self.change(request, asked, |attempt| async move {
            attempt.authorise(access)?;
            if name.as_str() == ROOT {
                return Err(Error::new(Code::Conflict, "The installation itself belongs to 'root'."));
            }
            let old = self.load_namespace(name).await?.ok_or_else(no_namespace)?;
            let body = NamespaceBody {
                deleted_at: old.body.deleted_at.or(Some(attempt.now)),
                abandons_leases: old.body.abandons_leases || abandon,
                ..old.body
            };
            if body == old.body {
                return Ok(Decided::Nothing(()));
            }
            let record = self.next_record(&old.record, &body)?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                touches: vec![touch(record.key(), action, None)],
                effects: vec![Effect {
                    digest: Some(record.digest()),
                    ..Effect::new(action, name.as_str())
                }],
                writes: vec![Write::Replace(old.record.rev, Row::Record(record))],
                answer: (),
            }))
        })
        .await?;
        let inner = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            // Its leases end first, which takes a while; upkeep goes on with what takes longer.
            for tries in 1..=TRIES {
                let Some(inner) = inner.upgrade() else { return };
                match Broker::new(inner).empty_namespaces().await {
                    Ok(()) => return,
                    Err(error) => tracing::info!(?error, "removing what was in a deleted namespace is put off"),
                }
                tokio::time::sleep(backoff::after(tries)).await;
            }
        });
        Ok(())
    }

    async fn stored_namespaces(&self) -> Result<Vec<Checked<NamespaceBody>>> {
        let found = self
            .ask(self.0.store.of_kind(self.0.clock.now(), Kind::Namespace))
            .await?;
        found.value.into_iter().map(|record| self.check(record)).collect()
    }

    pub(crate) async fn every_namespace(&self) -> Result<Vec<NamespaceId>> {
        Ok(self
            .stored_namespaces()
            .await?
            .into_iter()
            .map(|found| found.body.id)
            .collect())
    }

    /// Removes what was in namespaces that are deleted, and then their keys and names. It can stop anywhere and goes on; one
    /// whose leases have not ended yet is left for the next time.
    pub(crate) async fn empty_namespaces(&self) -> Result<()> {
        let mut outcome = Ok(());
        for namespace in self.stored_namespaces().await? {
            if namespace.body.deleted_at.is_some() {
                let room = self.within(namespace.body.id);
                let emptied = match room.empty_namespace(namespace.body.abandons_leases).await {
                    Ok(()) => self.forget_namespace(&namespace).await,
                    Err(error) => Err(error),
                };
                outcome = outcome.and(emptied);
            }
        }
        outcome
    }

    async fn empty_namespace(&self, abandon: bool) -> Result<()> {
        let request = Request::of_job(JOB, self.request_id());
        // As long as there is what their targets are asked with.
        self.end_all_leases(abandon).await?;
        for kind in Kind::ALL.iter().copied() {
            loop {
                let now = self.0.clock.now();
                let found = self.0.store.list(now, self.namespace(), kind, "", "", CHUNK);
                let found = self.ask(found).await?.value;
                if found.is_empty() {
                    break;
                }
                if kind == Kind::Secret {
                    for record in found {
                        self.purge(&request, &SecretPath::parse(&record.name)?).await?;
                    }
                } else {
                    self.remove_all(&request, found).await?;
                }
            }
        }
        Ok(())
    }

    async fn remove_all(&self, request: &Request, records: Vec<Record>) -> Result<()> {
        let asked = Asked {
            action: Action::NamespaceDelete,
            path: String::new(),
            locks: Vec::new(),
            id: ChangeId::Version(self.new_id().to_string()),
            fingerprint: Vec::new().into(),
            needs: Vec::new(),
        };
        let records = &records;
        self.change(request, asked, |_| async move {
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                // Nobody is of this namespace any more.
                touches: Vec::new(),
                effects: vec![Effect::new(Action::NamespaceDelete, "")],
                writes: records.iter().map(remove).collect(),
                answer: (),
            }))
        })
        .await
    }

    async fn forget_namespace(&self, namespace: &Checked<NamespaceBody>) -> Result<()> {
        let (action, record) = (Action::NamespaceDelete, &namespace.record);
        let asked = Asked {
            action,
            path: record.name.clone(),
            locks: vec![self.ring_key()],
            id: ChangeId::Version(self.new_id().to_string()),
            fingerprint: Vec::new().into(),
            needs: Vec::new(),
        };
        let request = Request::of_job(JOB, self.request_id());
        self.change(&request, asked, |attempt| async move {
            let (_, ring, replace) = self
                .next_ring(attempt.now, |keys, _| keys.without_namespace(namespace.body.id))
                .await?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                touches: vec![touch(record.key(), action, None), touch(ring.key(), action, None)],
                effects: vec![Effect::new(action, record.name.as_str())],
                writes: vec![remove(record), replace],
                answer: (),
            }))
        })
        .await?;
        self.stand().await
    }
}
