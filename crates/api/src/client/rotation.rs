//! Rotation, and the targets it is done at.

use reqwest::Method;
use serde::de::IgnoredAny;
use strongroom_domain::rotation::{RotationFields, Told};
use strongroom_domain::target::TargetConfig;
use strongroom_domain::{Name, SecretPath};

use super::routes::{NONE, at};
use super::{Client, Result};
use crate::rotation::{CalendarQuery, Planned, Rotation, Tell};
use crate::targets::Target;
use crate::{Page, PageQuery};

impl Client {
    pub async fn rotation(&self, path: &SecretPath) -> Result<Rotation> {
        self.call(Method::GET, &at("rotation", path), &(), NONE).await
    }

    pub async fn rotations(&self, query: &CalendarQuery) -> Result<Page<Planned>> {
        self.call(Method::GET, "rotation", query, NONE).await
    }

    pub async fn write_rotation(&self, path: &SecretPath, body: &RotationFields) -> Result<Rotation> {
        self.call(Method::PUT, &at("rotation", path), &(), Some(body)).await
    }

    /// As it stands once that is done, or after ten seconds.
    pub async fn tell_rotation(&self, path: &SecretPath, action: Told) -> Result<Rotation> {
        let body = Tell { action };
        self.call(Method::POST, &at("rotation", path), &(), Some(&body)).await
    }

    pub async fn delete_rotation(&self, path: &SecretPath) -> Result<()> {
        let IgnoredAny = self.call(Method::DELETE, &at("rotation", path), &(), NONE).await?;
        Ok(())
    }

    pub async fn targets(&self, query: &PageQuery) -> Result<Page<Target>> {
        self.call(Method::GET, "targets", query, NONE).await
    }

    pub async fn target(&self, name: &Name) -> Result<Target> {
        self.call(Method::GET, &format!("targets/{name}"), &(), NONE).await
    }

    pub async fn write_target(&self, name: &Name, body: &TargetConfig) -> Result<Target> {
        self.call(Method::PUT, &format!("targets/{name}"), &(), Some(body))
            .await
    }

    pub async fn delete_target(&self, name: &Name) -> Result<()> {
        let IgnoredAny = self.call(Method::DELETE, &format!("targets/{name}"), &(), NONE).await?;
        Ok(())
    }
}
