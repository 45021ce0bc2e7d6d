//! One method a route.

use reqwest::{Method, StatusCode};
use serde::de::IgnoredAny;
use strongroom_domain::{Name, Prefix, PrincipalId, SecretPath};

use super::{Client, Download, Result, answer, refusal};
use crate::batch::{BatchRead, BatchRequest, BatchWrite, ReadAnswer, WriteAnswer};
use crate::path::{encode, encode_segment};
use crate::{
    Page, PageQuery, audit, auth, clients, control, explain, groups, health, keys, labels, list, metadata, operators,
    policies, principals, roles, secrets, versions,
};

/// No body, for methods that send none.
pub(super) const NONE: Option<&()> = None;

pub(super) fn at(noun: &str, path: &SecretPath) -> String {
    format!("{noun}/{}", encode(path.as_str()))
}

/// The node itself.
impl Client {
    pub async fn alive(&self) -> Result<health::Alive> {
        let (status, body) = self.send(Method::GET, "/health", &(), NONE).await?;
        match status {
            StatusCode::OK => answer(status, body.as_ref()),
            _ => Err(refusal(status, body.as_ref())),
        }
    }

    /// A node that cannot serve says so with 503, and why.
    pub async fn ready(&self) -> Result<health::Readiness> {
        let (status, body) = self.send(Method::GET, "/ready", &(), NONE).await?;
        match (status, answer(status, body.as_ref())) {
            (StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE, Ok(readiness)) => Ok(readiness),
            _ => Err(refusal(status, body.as_ref())),
        }
    }
}

/// Secrets.
impl Client {
    pub async fn read(&self, path: &SecretPath, query: &secrets::ReadQuery) -> Result<secrets::Secret> {
        self.call(Method::GET, &at("secrets", path), query, NONE).await
    }

    pub async fn write(&self, path: &SecretPath, body: &secrets::WriteSecret) -> Result<secrets::Written> {
        self.call(Method::PUT, &at("secrets", path), &(), Some(body)).await
    }

    pub async fn delete(&self, path: &SecretPath) -> Result<secrets::Deleted> {
        self.call(Method::DELETE, &at("secrets", path), &(), NONE).await
    }

    pub async fn history(&self, path: &SecretPath) -> Result<versions::History> {
        self.call(Method::GET, &at("versions", path), &(), NONE).await
    }

    pub async fn undelete(&self, path: &SecretPath, numbers: Vec<i64>) -> Result<versions::Changed> {
        let body = versions::ChangeVersions {
            action: versions::Action::Undelete,
            versions: numbers,
        };
        self.call(Method::POST, &at("versions", path), &(), Some(&body)).await
    }

    pub async fn destroy(&self, path: &SecretPath, numbers: Vec<i64>) -> Result<versions::Changed> {
        let body = versions::ChangeVersions {
            action: versions::Action::Destroy,
            versions: numbers,
        };
        self.call(Method::POST, &at("versions", path), &(), Some(&body)).await
    }

    /// The whole secret, recoverable for so many days.
    pub async fn retire(&self, path: &SecretPath, recovery_days: Option<u16>) -> Result<metadata::Retired> {
        let query = metadata::DeleteQuery {
            recovery_days,
            purge: false,
        };
        self.call(Method::DELETE, &at("metadata", path), &query, NONE).await
    }

    pub async fn purge(&self, path: &SecretPath) -> Result<()> {
        let query = metadata::DeleteQuery {
            recovery_days: None,
            purge: true,
        };
        let IgnoredAny = self.call(Method::DELETE, &at("metadata", path), &query, NONE).await?;
        Ok(())
    }

    pub async fn restore(&self, path: &SecretPath) -> Result<()> {
        let body = metadata::ChangeSecret {
            action: metadata::Action::Restore,
        };
        let IgnoredAny = self.call(Method::POST, &at("metadata", path), &(), Some(&body)).await?;
        Ok(())
    }

    pub async fn metadata(&self, path: &SecretPath) -> Result<metadata::Described> {
        self.call(Method::GET, &at("metadata", path), &(), NONE).await
    }

    pub async fn describe(&self, path: &SecretPath, body: &metadata::Describe) -> Result<metadata::Described> {
        self.call(Method::PUT, &at("metadata", path), &(), Some(body)).await
    }

    pub async fn patch_metadata(&self, path: &SecretPath, body: &metadata::Patch) -> Result<metadata::Described> {
        self.call(Method::PATCH, &at("metadata", path), &(), Some(body)).await
    }

    pub async fn move_label(&self, path: &SecretPath, body: &labels::MoveLabel) -> Result<labels::Moved> {
        self.call(Method::PUT, &at("labels", path), &(), Some(body)).await
    }

    pub async fn remove_label(&self, path: &SecretPath, label: &str) -> Result<()> {
        let IgnoredAny = self
            .call(Method::DELETE, &at("labels", path), &[("label", label)], NONE)
            .await?;
        Ok(())
    }

    pub async fn list(&self, prefix: &Prefix, query: &list::ListQuery) -> Result<list::Listing> {
        self.call(Method::GET, &format!("list/{}", encode(prefix.as_str())), query, NONE)
            .await
    }

    pub async fn batch_read(&self, reads: Vec<BatchRead>) -> Result<ReadAnswer> {
        self.call(Method::POST, "batch", &(), Some(&BatchRequest::reads(reads)))
            .await
    }

    pub async fn batch_write(&self, writes: Vec<BatchWrite>, atomic: bool) -> Result<WriteAnswer> {
        self.call(Method::POST, "batch", &(), Some(&BatchRequest::writes(writes, atomic)))
            .await
    }
}

/// Administration.
impl Client {
    pub async fn login(&self, body: &auth::ClientLogin) -> Result<auth::AccessToken> {
        self.call(Method::POST, "auth/client/login", &(), Some(body)).await
    }

    pub async fn login_password(&self, body: &auth::PasswordLogin) -> Result<auth::AccessToken> {
        self.call(Method::POST, "auth/password/login", &(), Some(body)).await
    }

    pub async fn change_password(&self, body: &auth::ChangePassword) -> Result<()> {
        let IgnoredAny = self.call(Method::PUT, "auth/password", &(), Some(body)).await?;
        Ok(())
    }

    pub async fn begin_totp(&self, body: &auth::BeginTotp) -> Result<auth::NewTotp> {
        self.call(Method::POST, "auth/password/totp", &(), Some(body)).await
    }

    pub async fn confirm_totp(&self, body: &auth::ConfirmTotp) -> Result<()> {
        let IgnoredAny = self
            .call(Method::POST, "auth/password/totp/confirm", &(), Some(body))
            .await?;
        Ok(())
    }

    pub async fn remove_totp(&self, name: &Name) -> Result<()> {
        let path = format!("operators/{name}/totp");
        let IgnoredAny = self.call(Method::DELETE, &path, &(), NONE).await?;
        Ok(())
    }

    pub async fn whoami(&self) -> Result<auth::WhoAmI> {
        self.call(Method::GET, "auth/whoami", &(), NONE).await
    }

    pub async fn operators(&self, query: &PageQuery) -> Result<Page<operators::Operator>> {
        self.call(Method::GET, "operators", query, NONE).await
    }

    pub async fn operator(&self, name: &Name) -> Result<operators::Operator> {
        self.call(Method::GET, &format!("operators/{name}"), &(), NONE).await
    }

    pub async fn write_operator(&self, name: &Name, body: &operators::WriteOperator) -> Result<operators::Operator> {
        self.call(Method::PUT, &format!("operators/{name}"), &(), Some(body))
            .await
    }

    pub async fn delete_operator(&self, name: &Name) -> Result<()> {
        let path = format!("operators/{name}");
        let IgnoredAny = self.call(Method::DELETE, &path, &(), NONE).await?;
        Ok(())
    }

    pub async fn reset_password(&self, name: &Name, body: &operators::ResetPassword) -> Result<()> {
        let path = format!("operators/{name}/password");
        let IgnoredAny = self.call(Method::PUT, &path, &(), Some(body)).await?;
        Ok(())
    }

    pub async fn groups(&self, query: &PageQuery) -> Result<Page<groups::Group>> {
        self.call(Method::GET, "groups", query, NONE).await
    }

    pub async fn group(&self, name: &Name) -> Result<groups::Group> {
        self.call(Method::GET, &format!("groups/{name}"), &(), NONE).await
    }

    pub async fn write_group(&self, name: &Name, body: &groups::WriteGroup) -> Result<groups::Group> {
        self.call(Method::PUT, &format!("groups/{name}"), &(), Some(body)).await
    }

    pub async fn delete_group(&self, name: &Name) -> Result<()> {
        let path = format!("groups/{name}");
        let IgnoredAny = self.call(Method::DELETE, &path, &(), NONE).await?;
        Ok(())
    }

    pub async fn policies(&self, query: &PageQuery) -> Result<Page<policies::Policy>> {
        self.call(Method::GET, "policies", query, NONE).await
    }

    pub async fn policy(&self, name: &Name) -> Result<policies::Policy> {
        self.call(Method::GET, &format!("policies/{name}"), &(), NONE).await
    }

    pub async fn write_policy(&self, name: &Name, body: &policies::WritePolicy) -> Result<policies::Policy> {
        self.call(Method::PUT, &format!("policies/{name}"), &(), Some(body))
            .await
    }

    /// What [`Self::write_policy`] would change.
    pub async fn try_policy(&self, name: &Name, body: &policies::WritePolicy) -> Result<policies::PolicyChanges> {
        let writing = policies::Writing { dry_run: true };
        self.call(Method::PUT, &format!("policies/{name}"), &writing, Some(body))
            .await
    }

    pub async fn policy_history(&self, name: &Name) -> Result<policies::PolicyHistory> {
        self.call(Method::GET, &format!("policy-versions/{name}"), &(), NONE)
            .await
    }

    pub async fn delete_policy(&self, name: &Name) -> Result<()> {
        let IgnoredAny = self
            .call(Method::DELETE, &format!("policies/{name}"), &(), NONE)
            .await?;
        Ok(())
    }

    pub async fn explain(&self, body: &explain::Explain) -> Result<explain::Explained> {
        self.call(Method::POST, "explain", &(), Some(body)).await
    }

    pub async fn who_can(&self, query: &explain::WhoCan) -> Result<Page<explain::Holder>> {
        self.call(Method::GET, "who-can", query, NONE).await
    }

    pub async fn roles(&self, query: &PageQuery) -> Result<Page<roles::Role>> {
        self.call(Method::GET, "roles", query, NONE).await
    }

    pub async fn role(&self, name: &Name) -> Result<roles::Role> {
        self.call(Method::GET, &format!("roles/{name}"), &(), NONE).await
    }

    pub async fn write_role(&self, name: &Name, body: &roles::WriteRole) -> Result<roles::Role> {
        self.call(Method::PUT, &format!("roles/{name}"), &(), Some(body)).await
    }

    pub async fn delete_role(&self, name: &Name) -> Result<()> {
        let IgnoredAny = self.call(Method::DELETE, &format!("roles/{name}"), &(), NONE).await?;
        Ok(())
    }

    pub async fn clients(&self, query: &PageQuery) -> Result<Page<clients::Client>> {
        self.call(Method::GET, "clients", query, NONE).await
    }

    pub async fn client(&self, id: &str) -> Result<clients::Client> {
        self.call(Method::GET, &format!("clients/{}", encode_segment(id)), &(), NONE)
            .await
    }

    pub async fn create_client(&self, body: &clients::CreateClient) -> Result<clients::Created> {
        self.call(Method::POST, "clients", &(), Some(body)).await
    }

    pub async fn delete_client(&self, id: &str) -> Result<()> {
        let IgnoredAny = self
            .call(Method::DELETE, &format!("clients/{}", encode_segment(id)), &(), NONE)
            .await?;
        Ok(())
    }

    pub async fn add_client_secret(&self, id: &str) -> Result<clients::SecretAdded> {
        self.call(
            Method::POST,
            &format!("clients/{}/secrets", encode_segment(id)),
            &(),
            NONE,
        )
        .await
    }

    pub async fn remove_client_secret(&self, id: &str, secret_id: &str) -> Result<()> {
        let path = format!("clients/{}/secrets/{}", encode_segment(id), encode_segment(secret_id));
        let IgnoredAny = self.call(Method::DELETE, &path, &(), NONE).await?;
        Ok(())
    }

    pub async fn audit(&self, query: &audit::AuditQuery) -> Result<Page<audit::Entry>> {
        self.call(Method::GET, "audit", query, NONE).await
    }

    pub async fn erase_principal(&self, id: PrincipalId) -> Result<principals::Erased> {
        self.call(Method::POST, &format!("principals/{id}/erase"), &(), NONE)
            .await
    }

    pub async fn rotate_data_key(&self) -> Result<keys::Rotated> {
        self.call(Method::POST, "keys/data/rotate", &(), NONE).await
    }

    pub async fn rotate_signing_key(&self, body: &keys::RotateSigningKey) -> Result<()> {
        let IgnoredAny = self.call(Method::POST, "keys/signing/rotate", &(), Some(body)).await?;
        Ok(())
    }

    pub async fn slots(&self) -> Result<keys::Slots> {
        self.call(Method::GET, "keys/slots", &(), NONE).await
    }

    pub async fn add_slot(&self, body: &keys::NewSlot) -> Result<keys::SlotAdded> {
        self.call(Method::POST, "keys/slots", &(), Some(body)).await
    }

    pub async fn remove_slot(&self, name: &Name) -> Result<()> {
        let IgnoredAny = self
            .call(Method::DELETE, &format!("keys/slots/{name}"), &(), NONE)
            .await?;
        Ok(())
    }
}

/// What the control socket alone serves.
impl Client {
    pub async fn check_key(&self, body: &control::CheckKey) -> Result<control::KeyChecked> {
        self.call(Method::POST, "control/check-key", &(), Some(body)).await
    }

    pub async fn accept_restore(&self, wanted: &control::AcceptRestore) -> Result<control::RestoreAccepted> {
        self.call(Method::POST, "control/accept-restore", &(), Some(wanted))
            .await
    }

    pub async fn lift_hold(&self, wanted: &control::LiftHold) -> Result<()> {
        self.call(Method::POST, "control/lift-hold", &(), Some(wanted)).await
    }

    pub async fn recover_admin(&self) -> Result<control::Recovered> {
        self.call(Method::POST, "control/recover-admin", &(), NONE).await
    }

    pub async fn backup(&self) -> Result<Download> {
        self.download("control/backup").await
    }

    pub async fn backup_kept(&self, kept: &control::BackupKept) -> Result<()> {
        self.call(Method::POST, "control/backup/kept", &(), Some(kept)).await
    }
}
