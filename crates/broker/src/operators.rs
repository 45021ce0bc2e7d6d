//! Operators: people, who log in with a password. Entries name them by their principal, so that no person's name stands
//! in the log.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::grant::{Generation, MAX_GROUPS, MAX_POLICIES, Operator, Password, Principal, PrincipalKind};
use strongroom_domain::policy::Capability;
use strongroom_domain::{Code, Digest, Error, Kind, Name, ObjectId, PrincipalId, Result, Row, Time, Write};

use crate::Broker;
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::grants::{check_count, check_metadata, listed, said};
use crate::passwords::check_password;
use crate::policies::Noun;
use crate::record::{Attempt, Effect, Served};
use crate::request::Request;
use crate::rows::{Checked, remove, touch};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OperatorView {
    pub name: Name,
    pub principal: PrincipalId,
    pub policies: Vec<Name>,
    pub groups: Vec<Name>,
    pub metadata: BTreeMap<Name, String>,
    /// None: it cannot log in.
    pub password_set_at: Option<Time>,
    /// Whether a login needs a one-time code.
    pub totp: bool,
    pub created_at: Time,
    pub updated_at: Time,
}

fn view(name: Name, operator: Operator) -> OperatorView {
    OperatorView {
        name,
        principal: operator.principal,
        policies: operator.policies,
        groups: operator.groups,
        metadata: operator.metadata,
        totp: operator.totp.is_some_and(|totp| totp.salt.is_some()),
        password_set_at: operator.password.map(|password| password.created_at),
        created_at: operator.created_at,
        updated_at: operator.updated_at,
    }
}

pub(crate) fn absent() -> Error {
    Error::new(Code::NotFound, "There is no such operator.")
}

impl Broker {
    pub async fn operator(&self, request: &Request, name: &Name) -> Result<OperatorView> {
        self.serve(request, Action::OperatorRead, "", |attempt| async move {
            attempt.authorise(Access::Operator(name, Capability::Read))?;
            let found = self.load_operator(name).await?.value.ok_or_else(absent)?;
            Ok(Served {
                about: Some(found.body.principal.to_string()),
                ..Served::fresh(view(name.clone(), found.body))
            })
        })
        .await
    }

    pub async fn operators(
        &self,
        request: &Request,
        after: &str,
        limit: u16,
    ) -> Result<(Vec<OperatorView>, Option<String>)> {
        let noun = Noun {
            kind: Kind::Operator,
            name: "",
            action: Action::OperatorRead,
            access: Access::Operators,
        };
        self.list_views(request, noun, after, limit, view).await
    }

    /// What an operator may do: policies and groups that exist. A new one has no password yet.
    pub async fn put_operator(
        &self,
        request: &Request,
        name: &Name,
        policies: Vec<Name>,
        groups: Vec<Name>,
        metadata: BTreeMap<Name, String>,
    ) -> Result<OperatorView> {
        check_count("policies", &policies, MAX_POLICIES)?;
        check_count("groups", &groups, MAX_GROUPS)?;
        check_metadata(&metadata)?;
        let access = |capability| Access::Operator(name, capability);
        let asked = Asked {
            fingerprint: [
                listed(Action::OperatorWrite, name, &[&policies, &groups]),
                said(&metadata),
            ]
            .concat()
            .into(),
            needs: vec![vec![access(Capability::Create), access(Capability::Update)]],
            ..self.about_operator(request, Action::OperatorWrite, name)
        };
        let (policies, groups, metadata, access) = (&policies, &groups, &metadata, &access);
        self.change(request, asked, |attempt| async move {
            let old = self.load_operator(name).await?.value;
            let capability = if old.is_some() {
                Capability::Update
            } else {
                Capability::Create
            };
            attempt.authorise(access(capability))?;
            self.check_policies(policies).await?;
            self.check_groups(groups).await?;
            let mut writes = Vec::new();
            let (record, before) = match old {
                Some(old) => (Some(old.record), old.body),
                None => {
                    let (person, body) = self.new_person(&attempt, name)?;
                    writes.push(person);
                    (None, body)
                }
            };
            let operator = Operator {
                policies: policies.clone(),
                groups: groups.clone(),
                metadata: metadata.clone(),
                updated_at: attempt.now,
                ..before
            };
            let (record, write) = self.upsert(record.as_ref(), Kind::Operator, name.as_str(), &operator)?;
            writes.push(write);
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes,
                touches: vec![touch(record.key(), Action::OperatorWrite, None)],
                effects: vec![Effect {
                    digest: Some(record.digest()),
                    ..Effect::new(Action::OperatorWrite, operator.principal.to_string())
                }],
                answer: view(name.clone(), operator),
            }))
        })
        .await
    }

    /// The principal's row, and an operator that may do nothing.
    fn new_person(&self, attempt: &Attempt, name: &Name) -> Result<(Write, Operator)> {
        let id = PrincipalId(self.0.entropy.bytes());
        let principal = Principal {
            kind: PrincipalKind::Operator,
            name: Some(name.to_string()),
            salt: Digest(self.0.entropy.bytes()),
            generation: Generation::first(attempt.now),
            created_at: attempt.now,
            erased_at: None,
        };
        let row = self.new_record(Kind::Principal, self.new_id(), &id.to_string(), None, &principal)?;
        let operator = Operator {
            principal: id,
            policies: Vec::new(),
            groups: Vec::new(),
            metadata: BTreeMap::new(),
            password: None,
            totp: None,
            created_at: attempt.now,
            updated_at: attempt.now,
        };
        Ok((Write::Insert(Row::Record(row)), operator))
    }

    /// Its tokens end with it.
    pub async fn delete_operator(&self, request: &Request, name: &Name) -> Result<()> {
        let access = Access::Operator(name, Capability::Delete);
        let asked = Asked {
            needs: vec![vec![access]],
            ..self.about_operator(request, Action::OperatorDelete, name)
        };
        self.change(request, asked, |attempt| async move {
            attempt.authorise(access)?;
            let old = self.load_operator(name).await?.value.ok_or_else(absent)?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: vec![remove(&old.record)],
                touches: vec![touch(old.record.key(), Action::OperatorDelete, None)],
                effects: vec![Effect::new(Action::OperatorDelete, old.body.principal.to_string())],
                answer: (),
            }))
        })
        .await
    }

    pub(crate) fn about_operator<'a>(&self, request: &Request, action: Action, name: &Name) -> Asked<'a> {
        Asked {
            action,
            path: String::new(),
            locks: vec![self.key(Kind::Operator, name.as_str())],
            id: self.change_id(request),
            fingerprint: listed(action, name, &[]).into(),
            needs: Vec::new(),
        }
    }
}

/// Passwords. A change's id is remembered by the password itself, not with a digest of the request: that would be a way
/// to try passwords without their cost.
impl Broker {
    /// Gives an operator another password without asking for the old one.
    pub async fn reset_password(&self, request: &Request, name: &Name, password: &SecretString) -> Result<()> {
        check_password(password)?;
        let change = self.password_change(request)?;
        let access = Access::Operator(name, Capability::Manage);
        let asked = Asked {
            id: ChangeId::Version(change.clone()),
            needs: vec![vec![access]],
            ..self.about_operator(request, Action::OperatorPassword, name)
        };
        let change = change.as_str();
        self.change(request, asked, |attempt| async move {
            attempt.authorise(access)?;
            let old = self.load_operator(name).await?.value.ok_or_else(absent)?;
            self.set_password(&attempt, &old, change, password).await
        })
        .await
    }

    /// An operator changes its own, and shows that it knows the current one: a token alone does not suffice.
    pub async fn change_password(
        &self,
        request: &Request,
        current: &SecretString,
        password: &SecretString,
    ) -> Result<()> {
        check_password(password)?;
        let change = self.password_change(request)?;
        let asked = Asked {
            action: Action::OperatorPassword,
            path: String::new(),
            // Whose row it is, the token says: it is not known before, and two at once compare in the store.
            locks: Vec::new(),
            id: ChangeId::Version(change.clone()),
            fingerprint: Vec::new().into(),
            needs: Vec::new(),
        };
        let change = change.as_str();
        self.change(request, asked, |attempt| async move {
            let old = self.own_record(&attempt).await?;
            self.check_own_password(&old, current).await?;
            self.set_password(&attempt, &old, change, password).await
        })
        .await
    }

    /// Whoever has an operator's token shall not try passwords with it.
    pub(crate) async fn check_own_password(&self, own: &Checked<Operator>, current: &SecretString) -> Result<()> {
        let guess = self.guess("current password", own.record.id)?;
        let right = self.is_password(Some(own), current).await?;
        self.guessed(&guess, right);
        if right {
            Ok(())
        } else {
            Err(Error::new(
                Code::PermissionDenied,
                "The current password is another one.",
            ))
        }
    }

    fn password_change(&self, request: &Request) -> Result<String> {
        match &request.change_id {
            Some(id) => {
                strongroom_domain::secret::check_version_id(id)?;
                Ok(id.clone())
            }
            None => Ok(self.new_id().to_string()),
        }
    }

    /// The work that a row takes which is there, on one that is not.
    pub(crate) fn check_nobody(&self) -> Result<()> {
        let row = match self.0.passwords.nobodys_row.get() {
            Some(row) => row.clone(),
            None => {
                let keys = self.0.ring.keys.load();
                let nobody = Operator {
                    principal: PrincipalId([0; 16]),
                    policies: Vec::new(),
                    groups: Vec::new(),
                    metadata: BTreeMap::new(),
                    password: Some(Password {
                        id: ObjectId([0; 16]),
                        change: ObjectId([0; 16]).to_string(),
                        hash: keys.nobodys_password().map_err(Error::internal)?,
                        created_at: Time(0),
                    }),
                    totp: None,
                    created_at: Time(0),
                    updated_at: Time(0),
                };
                let row = self.new_record(Kind::Operator, ObjectId([0; 16]), "nobody", None, &nobody)?;
                self.0.passwords.nobodys_row.get_or_init(|| row).clone()
            }
        };
        std::hint::black_box(self.check::<Operator>(row)?.body);
        Ok(())
    }

    /// As much work where there is no operator, or it has no password.
    pub(crate) async fn is_password(
        &self,
        operator: Option<&Checked<Operator>>,
        password: &SecretString,
    ) -> Result<bool> {
        let stored = operator.and_then(|operator| operator.body.password.as_ref());
        let stored = stored.map(|stored| stored.hash.clone());
        #[cfg(test)]
        if stored.is_none()
            && self
                .0
                .passwords
                .nobody_is_quick
                .load(std::sync::atomic::Ordering::Relaxed)
        {
            return Ok(false);
        }
        self.stretch(password, move |keys, password| {
            let nobodys = keys.nobodys_password().map_err(Error::internal)?;
            let matches = keys.check_password(password, stored.as_ref().unwrap_or(&nobodys));
            Ok(matches && stored.is_some())
        })
        .await?
    }

    async fn set_password(
        &self,
        attempt: &Attempt,
        old: &Checked<Operator>,
        change: &str,
        password: &SecretString,
    ) -> Result<Decided<()>> {
        if old.body.password.as_ref().is_some_and(|stored| stored.change == change) {
            return if self.is_password(Some(old), password).await? {
                Ok(Decided::Nothing(()))
            } else {
                Err(Error::from(Code::ChangeIdReused))
            };
        }
        let salt = self.0.entropy.bytes();
        let hash = self
            .stretch(password, move |keys, password| keys.hash_password(password, salt))
            .await?
            .map_err(Error::internal)?;
        let operator = Operator {
            password: Some(Password {
                id: self.new_id(),
                change: change.to_owned(),
                hash,
                created_at: attempt.now,
            }),
            updated_at: attempt.now,
            ..old.body.clone()
        };
        let (record, write) = self.upsert(Some(&old.record), Kind::Operator, &old.record.name, &operator)?;
        Ok(Decided::Write(Decision {
            fresh: Vec::new(),
            writes: vec![write],
            touches: vec![touch(record.key(), Action::OperatorPassword, None)],
            effects: vec![Effect {
                digest: Some(record.digest()),
                ..Effect::new(Action::OperatorPassword, operator.principal.to_string())
            }],
            answer: (),
        }))
    }
}
