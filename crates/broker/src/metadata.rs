//! What an operator says about a secret.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::metadata::Metadata;
use strongroom_domain::policy::Capability;
use strongroom_domain::secret::Head;
use strongroom_domain::{Error, Kind, Result, SecretPath, Time};

use crate::Broker;
use crate::change::{Asked, Decided, Decision};
use crate::read::no_secret;
use crate::record::{Effect, Served};
use crate::request::Request;
use crate::rows::{Checked, touch};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MetadataView {
    pub path: String,
    pub metadata: Metadata,
    pub current_version: i64,
    pub pending_until: Option<Time>,
    /// The minute a value was last read in, as far as it is written down.
    pub last_used_at: Option<Time>,
    /// When it is as old as one of its type should get, where no rotation sees to that.
    pub due_at: Option<Time>,
    pub created_at: Time,
    pub updated_at: Time,
}

/// What is known of a secret beside its head.
struct Beside {
    last_used_at: Option<Time>,
    is_rotated: bool,
}

fn view(path: &SecretPath, head: &Head, beside: &Beside) -> MetadataView {
    MetadataView {
        path: path.to_string(),
        metadata: head.metadata.clone(),
        current_version: head.current(),
        pending_until: head.pending_until,
        last_used_at: beside.last_used_at,
        due_at: head.outdated_at().filter(|_| !beside.is_rotated),
        created_at: head.created_at,
        updated_at: head.updated_at,
    }
}

impl Broker {
    pub async fn metadata(&self, request: &Request, path: &SecretPath) -> Result<MetadataView> {
        self.serve(request, Action::MetadataRead, path.as_str(), |attempt| async move {
            attempt.authorise(Access::Secret(path, Capability::List))?;
            let head = self.head(path).await?.ok_or_else(no_secret)?;
            let beside = self.beside(path, Some(&head), attempt.now).await?;
            Ok(Served::fresh(view(path, &head.body, &beside)))
        })
        .await
    }

    async fn beside(&self, path: &SecretPath, head: Option<&Checked<Head>>, now: Time) -> Result<Beside> {
        let used = match head {
            Some(head) => self.last_used(now, &[head.record.id]).await?,
            None => HashMap::new(),
        };
        Ok(Beside {
            last_used_at: used.values().next().copied(),
            is_rotated: self.load_rotation(path).await?.is_some(),
        })
    }

    /// Replaces the metadata; a secret that is not there yet is made, with no version.
    pub async fn put_metadata(&self, request: &Request, path: &SecretPath, new: &Metadata) -> Result<MetadataView> {
        new.check()?;
        let asked = serde_json::to_vec(new).map_err(Error::internal)?;
        self.write_metadata(request, path, &asked, |old| match old {
            None => Ok((Capability::Create, new.clone())),
            Some(_) => Ok((Capability::Update, new.clone())),
        })
        .await
    }

    /// Changes the metadata of a secret that is there. `fingerprint` is the patch as bytes.
    pub async fn patch_metadata(
        &self,
        request: &Request,
        path: &SecretPath,
        fingerprint: &[u8],
        patch: impl Fn(&mut Metadata) + Sync,
    ) -> Result<MetadataView> {
        self.write_metadata(request, path, fingerprint, |old| {
            let mut metadata = old.ok_or_else(no_secret)?.clone();
            patch(&mut metadata);
            metadata.check()?;
            Ok((Capability::Patch, metadata))
        })
        .await
    }

    async fn write_metadata(
        &self,
        request: &Request,
        path: &SecretPath,
        fingerprint: &[u8],
        edit: impl Fn(Option<&Metadata>) -> Result<(Capability, Metadata)> + Sync,
    ) -> Result<MetadataView> {
        let action = Action::MetadataWrite;
        let asked = Asked {
            action,
            path: path.to_string(),
            locks: vec![self.key(Kind::Secret, path.as_str())],
            id: self.change_id(request),
            fingerprint: Canon::new(action.name())
                .text(path.as_str())
                .bytes(fingerprint)
                .done()
                .into(),
            needs: vec![
                [Capability::Create, Capability::Update, Capability::Patch]
                    .map(|capability| Access::Secret(path, capability))
                    .to_vec(),
            ],
        };
        let edit = &edit;
        self.change(request, asked, |attempt| async move {
            let old = self.head(path).await?;
            let beside = self.beside(path, old.as_ref(), attempt.now).await?;
            let (capability, metadata) = match edit(old.as_ref().map(|old| &old.body.metadata)) {
                Ok(edited) => edited,
                // Whether something is there is told only to who may change it.
                Err(error) => {
                    attempt.authorise(Access::Secret(path, Capability::Patch))?;
                    return Err(error);
                }
            };
            attempt.authorise(Access::Secret(path, capability))?;
            let mut head = old
                .as_ref()
                .map_or_else(|| Head::new(attempt.now), |old| old.body.clone());
            head.metadata = metadata;
            head.updated_at = attempt.now;
            head.check_present()?;
            let id = old.as_ref().map_or_else(|| self.new_id(), |old| old.record.id);
            let (record, write) = self.write_head(old.as_ref().map(|old| &old.record), id, path, &head)?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: vec![write],
                touches: vec![touch(record.key(), action, None)],
                effects: vec![Effect {
                    digest: Some(record.digest()),
                    ..Effect::new(action, path.as_str())
                }],
                answer: view(path, &head, &beside),
            }))
        })
        .await
    }
}
