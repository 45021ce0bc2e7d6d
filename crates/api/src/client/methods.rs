//! Login methods, and logins by them.

use reqwest::Method;
use serde::de::{DeserializeOwned, IgnoredAny};
use strongroom_domain::Name;

use super::routes::NONE;
use super::{Client, Result};
use crate::{Page, PageQuery, auth, methods};

impl Client {
    pub async fn start_login(&self, method: &Name, redirect_uri: String) -> Result<auth::BrowserStarted> {
        let redirect_uri = Some(redirect_uri);
        self.start(method, &auth::StartLogin { redirect_uri }).await
    }

    /// One that is confirmed on another device.
    pub async fn start_device_login(&self, method: &Name) -> Result<auth::DeviceStarted> {
        self.start(method, &auth::StartLogin { redirect_uri: None }).await
    }

    async fn start<T: DeserializeOwned>(&self, method: &Name, body: &auth::StartLogin) -> Result<T> {
        self.call(Method::POST, &format!("auth/{method}/start"), &(), Some(body))
            .await
    }

    pub async fn login_by(&self, method: &Name, body: &auth::MethodLogin) -> Result<auth::AccessToken> {
        self.call(Method::POST, &format!("auth/{method}/login"), &(), Some(body))
            .await
    }

    pub async fn methods(&self, query: &PageQuery) -> Result<Page<methods::Method>> {
        self.call(Method::GET, "methods", query, NONE).await
    }

    pub async fn method(&self, name: &Name) -> Result<methods::Method> {
        self.call(Method::GET, &format!("methods/{name}"), &(), NONE).await
    }

    pub async fn write_method(&self, name: &Name, body: &methods::WriteMethod) -> Result<methods::Method> {
        self.call(Method::PUT, &format!("methods/{name}"), &(), Some(body))
            .await
    }

    pub async fn delete_method(&self, name: &Name) -> Result<()> {
        let IgnoredAny = self.call(Method::DELETE, &format!("methods/{name}"), &(), NONE).await?;
        Ok(())
    }
}
