//! Clients: workloads that log in with an id and a secret. A secret is shown once and kept as a keyed hash; two are
//! valid at a time, so that one can be replaced without a gap.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::grant::{Client, ClientSecret, Generation, MAX_CLIENT_SECRETS, Principal, PrincipalKind};
use strongroom_domain::policy::Capability;
use strongroom_domain::{Code, Digest, Error, Kind, Name, ObjectId, PrincipalId, Result, Row, Time, Write};

use crate::Broker;
use crate::change::{Asked, Decided, Decision};
use crate::grants::{check_metadata, said};
use crate::policies::Noun;
use crate::record::{Attempt, Effect, Served};
use crate::request::Request;
use crate::rows::{Checked, remove, touch};

/// What client secrets start with, so that scanners recognise one that leaked.
const SECRET_PREFIX: &str = "src_";

/// A new secret: this is the only time it is shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewClientSecret {
    pub client_id: String,
    pub name: String,
    pub role: Name,
    pub secret_id: String,
    pub client_secret: String,
}

impl std::fmt::Debug for NewClientSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewClientSecret({})", self.client_id)
    }
}

#[derive(Debug, Clone)]
pub struct SecretView {
    pub secret_id: ObjectId,
    pub created_at: Time,
}

#[derive(Debug, Clone)]
pub struct ClientView {
    pub client_id: ObjectId,
    pub name: String,
    pub role: Name,
    pub principal: PrincipalId,
    pub metadata: BTreeMap<Name, String>,
    pub secrets: Vec<SecretView>,
    pub created_at: Time,
}

fn view(found: Checked<Client>) -> ClientView {
    let secrets = found.body.secrets.iter();
    ClientView {
        client_id: found.record.id,
        name: found.record.name,
        role: found.body.role,
        principal: found.body.principal,
        metadata: found.body.metadata,
        secrets: secrets
            .map(|secret| SecretView {
                secret_id: secret.id,
                created_at: secret.created_at,
            })
            .collect(),
        created_at: found.body.created_at,
    }
}

fn parse_id(id: &str) -> Result<ObjectId> {
    ObjectId::parse(id).ok_or_else(absent)
}

fn absent() -> Error {
    Error::new(Code::NotFound, "There is no such client.")
}

impl Broker {
    pub async fn client(&self, request: &Request, id: &str) -> Result<ClientView> {
        self.serve(request, Action::ClientRead, id, |attempt| async move {
            attempt.authorise(Access::Client(id, Capability::Read))?;
            let found = self.load_client(parse_id(id)?).await?.value.ok_or_else(absent)?;
            Ok(Served::fresh(view(found)))
        })
        .await
    }

    pub async fn clients(
        &self,
        request: &Request,
        after: &str,
        limit: u16,
    ) -> Result<(Vec<ClientView>, Option<String>)> {
        let noun = Noun {
            kind: Kind::Client,
            name: "",
            action: Action::ClientRead,
            access: Access::Clients,
        };
        let (found, next) = self.list_objects::<Client>(request, noun, after, limit).await?;
        Ok((found.into_iter().map(view).collect(), next))
    }

    /// Makes a client of a role that exists, with its first secret.
    pub async fn create_client(
        &self,
        request: &Request,
        name: &Name,
        role: &Name,
        metadata: &BTreeMap<Name, String>,
    ) -> Result<NewClientSecret> {
        check_metadata(metadata)?;
        let access = Access::Client(name.as_str(), Capability::Create);
        let asked = Asked {
            action: Action::ClientCreate,
            path: String::new(),
            locks: vec![self.key(Kind::Client, name.as_str())],
            id: self.change_id(request),
            fingerprint: Canon::new("client.create")
                .text(name.as_str())
                .text(role.as_str())
                .bytes(&said(metadata))
                .done()
                .into(),
            needs: vec![vec![access]],
        };
        self.change(request, asked, |attempt| async move {
            attempt.authorise(access)?;
            if self.load_role(role).await?.value.is_none() {
                return Err(Error::invalid(format!("There is no role '{role}'.")));
            }
            if self.load::<Client>(Kind::Client, name.as_str()).await?.value.is_some() {
                return Err(Error::new(
                    Code::Conflict,
                    format!("There is a client '{name}' already."),
                ));
            }
            let (person, principal) = self.new_workload(&attempt, name)?;
            let (secret, stored) = self.make_secret(&attempt)?;
            let client = Client {
                principal,
                role: role.clone(),
                secrets: vec![stored],
                metadata: metadata.clone(),
                generation: Generation::first(attempt.now),
                created_at: attempt.now,
            };
            let record = self.new_record(Kind::Client, self.new_id(), name.as_str(), None, &client)?;
            let answer = shown(&record.id, name.as_str(), &client, secret)?;
            Ok(Decided::Write(Decision {
                touches: vec![touch(record.key(), Action::ClientCreate, None)],
                effects: vec![Effect {
                    digest: Some(record.digest()),
                    ..Effect::new(Action::ClientCreate, record.id.to_string())
                }],
                fresh: Vec::new(),
                writes: vec![Write::Insert(Row::Record(record)), person],
                answer,
            }))
        })
        .await
    }

    /// The principal's row, and its id.
    fn new_workload(&self, attempt: &Attempt, name: &Name) -> Result<(Write, PrincipalId)> {
        let id = PrincipalId(self.0.entropy.bytes());
        let principal = Principal {
            kind: PrincipalKind::Workload,
            name: Some(name.to_string()),
            salt: Digest(self.0.entropy.bytes()),
            generation: Generation::first(attempt.now),
            created_at: attempt.now,
            erased_at: None,
        };
        let row = self.new_record(Kind::Principal, self.new_id(), &id.to_string(), None, &principal)?;
        Ok((Write::Insert(Row::Record(row)), id))
    }

    /// Adds a second secret; with two already, one must go first.
    pub async fn add_client_secret(&self, request: &Request, id: &str) -> Result<NewClientSecret> {
        self.edit_client(request, Action::ClientSecretCreate, id, "", |attempt, found, client| {
            if client.secrets.len() >= MAX_CLIENT_SECRETS {
                return Err(Error::new(
                    Code::LimitReached,
                    format!("A client has at most {MAX_CLIENT_SECRETS} secrets; delete one first."),
                ));
            }
            let (secret, stored) = self.make_secret(attempt)?;
            client.secrets.push(stored);
            shown(&found.record.id, &found.record.name, client, secret)
        })
        .await
    }

    pub async fn delete_client_secret(&self, request: &Request, id: &str, secret_id: &str) -> Result<()> {
        self.edit_client(request, Action::ClientSecretDelete, id, secret_id, |_, _, client| {
            let before = client.secrets.len();
            client.secrets.retain(|secret| secret.id.to_string() != secret_id);
            if client.secrets.len() == before {
                return Err(Error::new(Code::NotFound, "The client has no such secret."));
            }
            Ok(())
        })
        .await
    }

    pub async fn delete_client(&self, request: &Request, id: &str) -> Result<()> {
        let access = Access::Client(id, Capability::Delete);
        let asked = self.about_client(request, Action::ClientDelete, id, "", access);
        self.change(request, asked, |attempt| async move {
            attempt.authorise(access)?;
            let old = self.load_client(parse_id(id)?).await?.value.ok_or_else(absent)?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: vec![remove(&old.record)],
                touches: vec![touch(old.record.key(), Action::ClientDelete, None)],
                effects: vec![Effect::new(Action::ClientDelete, id)],
                answer: (),
            }))
        })
        .await
    }

    fn about_client<'a>(
        &self,
        request: &Request,
        action: Action,
        id: &'a str,
        detail: &str,
        access: Access<'a>,
    ) -> Asked<'a> {
        Asked {
            action,
            path: id.to_owned(),
            // By id: the row is the same whatever its name.
            locks: vec![self.key(Kind::Client, format!("/{id}"))],
            id: self.change_id(request),
            fingerprint: Canon::new(action.name()).text(id).text(detail).done().into(),
            needs: vec![vec![access]],
        }
    }

    async fn edit_client<T: Serialize + serde::de::DeserializeOwned>(
        &self,
        request: &Request,
        action: Action,
        id: &str,
        detail: &str,
        edit: impl Fn(&Attempt, &Checked<Client>, &mut Client) -> Result<T> + Sync,
    ) -> Result<T> {
        let access = Access::Client(id, Capability::Update);
        let asked = self.about_client(request, action, id, detail, access);
        let edit = &edit;
        self.change(request, asked, |attempt| async move {
            attempt.authorise(access)?;
            let old = self.load_client(parse_id(id)?).await?.value.ok_or_else(absent)?;
            let mut client = old.body.clone();
            let answer = edit(&attempt, &old, &mut client)?;
            let (record, write) = self.upsert(Some(&old.record), Kind::Client, &old.record.name, &client)?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: vec![write],
                touches: vec![touch(record.key(), action, None)],
                effects: vec![Effect {
                    digest: Some(record.digest()),
                    ..Effect::new(action, id)
                }],
                answer,
            }))
        })
        .await
    }

    fn make_secret(&self, attempt: &Attempt) -> Result<(String, ClientSecret)> {
        let secret = format!(
            "{SECRET_PREFIX}{}",
            BASE64URL_NOPAD.encode(&self.0.entropy.bytes::<32>())
        );
        let (key, hash) = self
            .0
            .ring
            .keys
            .load()
            .hash_client_secret(&secret)
            .map_err(Error::internal)?;
        Ok((
            secret,
            ClientSecret {
                id: self.new_id(),
                key,
                hash,
                created_at: attempt.now,
            },
        ))
    }
}

fn shown(id: &ObjectId, name: &str, client: &Client, client_secret: String) -> Result<NewClientSecret> {
    let secret = client.secrets.last().ok_or_else(|| Error::from(Code::Internal))?;
    Ok(NewClientSecret {
        client_id: id.to_string(),
        name: name.to_owned(),
        role: client.role.clone(),
        secret_id: secret.id.to_string(),
        client_secret,
    })
}
