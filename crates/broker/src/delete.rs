//! What changes a secret's head: deleting, undeleting and destroying versions, moving and removing labels.

use std::collections::HashMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::policy::Capability;
use strongroom_domain::secret::{Head, VersionEntry};
use strongroom_domain::{Kind, ObjectId, Result, Row, RowRev, SecretPath, Time, Write};

use crate::Broker;
use crate::change::{Asked, Decided, Decision};
use crate::read::no_secret;
use crate::record::Effect;
use crate::request::Request;
use crate::rows::touch;

/// Which version a verb was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    pub version: i64,
}

/// What an edit of a head comes to: the versions it is about, rows to write besides the head, the answer.
pub(crate) struct Edit<T> {
    pub(crate) versions: Vec<i64>,
    pub(crate) writes: Vec<Write>,
    pub(crate) answer: T,
}

impl<T> Edit<T> {
    pub(crate) fn new(versions: impl IntoIterator<Item = i64>, answer: T) -> Self {
        Self {
            versions: versions.into_iter().collect(),
            writes: Vec::new(),
            answer,
        }
    }
}

impl Broker {
    /// Deletes the current version, recoverably.
    pub async fn delete(&self, request: &Request, path: &SecretPath) -> Result<Deleted> {
        self.edit_head(
            request,
            Action::SecretDelete,
            Capability::Delete,
            path,
            b"",
            |head, _, now| {
                let version = head.delete_current(now)?;
                Ok(Edit::new(Some(version), Deleted { version }))
            },
        )
        .await
    }

    pub async fn undelete(&self, request: &Request, path: &SecretPath, versions: &[i64]) -> Result<()> {
        let asked: Vec<u8> = versions.iter().flat_map(|version| version.to_be_bytes()).collect();
        self.edit_head(
            request,
            Action::SecretUndelete,
            Capability::Update,
            path,
            &asked,
            |head, _, now| {
                head.undelete(versions, now)?;
                Ok(Edit::new(versions.iter().copied(), ()))
            },
        )
        .await
    }

    /// Destroys versions: nothing opens them again.
    pub async fn destroy(&self, request: &Request, path: &SecretPath, versions: &[i64]) -> Result<()> {
        let asked: Vec<u8> = versions.iter().flat_map(|version| version.to_be_bytes()).collect();
        self.edit_head(
            request,
            Action::SecretDestroy,
            Capability::Destroy,
            path,
            &asked,
            |head, owner, now| {
                let before: HashMap<i64, RowRev> =
                    head.versions.iter().map(|entry| (entry.number, entry.rev)).collect();
                let keys = self.0.ring.keys.load();
                let blank = |entry: &VersionEntry| {
                    keys.destroyed_version(self.namespace(), owner, entry.number, entry.rev.next())
                };
                let rows = head.destroy(versions, blank, now)?.into_iter();
                Ok(Edit {
                    versions: versions.to_vec(),
                    writes: rows
                        .filter_map(|row| Some(Write::Replace(*before.get(&row.number)?, Row::Version(row))))
                        .collect(),
                    answer: (),
                })
            },
        )
        .await
    }

    /// Changes a head that is there. `edit` may run again on newer rows.
    pub(crate) async fn edit_head<T: Serialize + DeserializeOwned>(
        &self,
        request: &Request,
        action: Action,
        capability: Capability,
        path: &SecretPath,
        fingerprint: &[u8],
        edit: impl Fn(&mut Head, ObjectId, Time) -> Result<Edit<T>> + Sync,
    ) -> Result<T> {
        let access = Access::Secret(path, capability);
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
            needs: vec![vec![access]],
        };
        let edit = &edit;
        self.change(request, asked, |attempt| async move {
            attempt.authorise(access)?;
            let old = self.head(path).await?.ok_or_else(no_secret)?;
            let mut head = old.body.clone();
            let Edit {
                versions,
                mut writes,
                answer,
            } = edit(&mut head, old.record.id, attempt.now)?;
            let (record, write) = self.write_head(Some(&old.record), old.record.id, path, &head)?;
            writes.push(write);
            // An entry for each version; one where it is about none.
            let about: Vec<Option<i64>> = match versions.as_slice() {
                [] => vec![None],
                some => some.iter().copied().map(Some).collect(),
            };
            let effect = |version: &Option<i64>| Effect {
                version: *version,
                digest: Some(record.digest()),
                ..Effect::new(action, path.as_str())
            };
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes,
                touches: vec![touch(record.key(), action, versions.first().copied())],
                effects: about.iter().map(effect).collect(),
                answer,
            }))
        })
        .await
    }
}
