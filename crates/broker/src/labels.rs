//! Moving and removing labels.

use strongroom_domain::audit::Action;
use strongroom_domain::policy::Capability;
use strongroom_domain::{Result, SecretPath, secret};

use crate::Broker;
use crate::delete::Edit;
use crate::request::Request;

impl Broker {
    /// Moves a label to a version; `previous` goes where `current` was.
    pub async fn move_label(&self, request: &Request, path: &SecretPath, label: &str, version: i64) -> Result<()> {
        secret::check_label(label)?;
        let asked = format!("{label}\0{version}");
        self.edit_head(
            request,
            Action::LabelMove,
            Capability::Update,
            path,
            asked.as_bytes(),
            |head, _, now| {
                head.move_label(label, version, now)?;
                Ok(Edit::new(Some(version), ()))
            },
        )
        .await
    }

    pub async fn remove_label(&self, request: &Request, path: &SecretPath, label: &str) -> Result<()> {
        secret::check_label(label)?;
        self.edit_head(
            request,
            Action::LabelRemove,
            Capability::Update,
            path,
            label.as_bytes(),
            |head, _, now| {
                head.remove_label(label, now)?;
                Ok(Edit::new(None, ()))
            },
        )
        .await
    }
}
