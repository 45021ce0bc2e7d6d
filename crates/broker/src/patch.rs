//! Changing members of a JSON value.

use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::merge::merge;
use strongroom_domain::policy::Capability;
use strongroom_domain::secret::Selector;
use strongroom_domain::{Error, Kind, Payload, PayloadKind, Result, SecretPath};
use zeroize::Zeroizing;

use crate::Broker;
use crate::change::{Asked, Decided};
use crate::put::{PutSecret, Written};
use crate::read::no_secret;
use crate::request::Request;

#[derive(Debug)]
pub struct PatchSecret {
    pub path: SecretPath,
    /// A JSON object: what RFC 7396 makes of it.
    pub patch: Payload,
    pub cas: Option<i64>,
}

impl Broker {
    /// Merges a patch into the current version's JSON value, as a new version. Members that are not named keep their bytes.
    pub async fn patch(&self, request: &Request, patch: PatchSecret) -> Result<Written> {
        let (path, access) = (&patch.path, Access::Secret(&patch.path, Capability::Patch));
        let change = text(&patch.patch)?;
        let asked = Asked {
            action: Action::SecretPatch,
            path: path.to_string(),
            locks: vec![self.key(Kind::Secret, path.as_str())],
            id: self.change_id(request),
            fingerprint: Zeroizing::new(
                Canon::new(Action::SecretPatch.name())
                    .text(path.as_str())
                    .bytes(&patch.patch.bytes)
                    .maybe_int(patch.cas)
                    .done(),
            ),
            needs: vec![vec![access]],
        };
        self.change(request, asked, |attempt| async move {
            attempt.authorise(access)?;
            let old = self.head(path).await?.ok_or_else(no_secret)?;
            let entry = old.body.select(&Selector::default(), attempt.now)?;
            old.body.check_cas(patch.cas)?;
            let (row, _) = self.load_version(attempt.now, old.record.id, entry).await?;
            let current = self.open_payload(&row, path.as_str()).await?;
            let mut merged = merge(text(&current)?, change)?;
            let put = PutSecret {
                path: path.clone(),
                payload: Payload::json(std::mem::take(&mut merged))?,
                cas: Some(entry.number),
                id: None,
                labels: None,
                unless_same: false,
            };
            put.check(self.0.settings.payload_bytes)?;
            self.add_version(&attempt, Action::SecretPatch, &put, Some(&old.record), old.body)
                .map(Decided::Write)
        })
        .await
    }
}

fn text(payload: &Payload) -> Result<&str> {
    if payload.kind != PayloadKind::Json {
        return Err(Error::invalid(
            "Only a JSON value can be patched; write the whole value instead.",
        ));
    }
    std::str::from_utf8(&payload.bytes).map_err(Error::internal)
}
