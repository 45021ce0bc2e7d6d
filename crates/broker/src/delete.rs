//! What changes a secret's head alone: deleting and undeleting versions, moving and removing labels.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::policy::Capability;
use strongroom_domain::secret::Head;
use strongroom_domain::{Kind, Result, SecretPath, Time};

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

impl Broker {
    /// Deletes the current version, recoverably.
    pub async fn delete(&self, request: &Request, path: &SecretPath) -> Result<Deleted> {
        self.edit_head(
            request,
            Action::SecretDelete,
            Capability::Delete,
            path,
            b"",
            |head, now| {
                let version = head.delete_current(now)?;
                Ok((Some(version), Deleted { version }))
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
            |head, now| {
                head.undelete(versions, now)?;
                Ok((versions.first().copied(), ()))
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
        edit: impl Fn(&mut Head, Time) -> Result<(Option<i64>, T)> + Sync,
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
            let (version, answer) = edit(&mut head, attempt.now)?;
            let (record, write) = self.upsert(Some(&old.record), Kind::Secret, path.as_str(), &head)?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: vec![write],
                touches: vec![touch(record.key(), action, version)],
                effects: vec![Effect {
                    action,
                    path: path.to_string(),
                    version,
                    digest: Some(record.digest()),
                }],
                answer,
            }))
        })
        .await
    }
}
