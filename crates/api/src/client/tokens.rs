//! Tokens and namespaces, one method a route.

use reqwest::Method;
use serde::de::IgnoredAny;
use strongroom_domain::NamespaceName;

use super::routes::NONE;
use super::{Client, Result};
use crate::{Page, PageQuery, namespaces, tokens};

impl Client {
    pub async fn create_token(&self, body: &tokens::CreateToken) -> Result<tokens::Created> {
        self.call(Method::POST, "tokens", &(), Some(body)).await
    }

    pub async fn tokens(&self, query: &PageQuery) -> Result<Page<tokens::Token>> {
        self.call(Method::GET, "tokens", query, NONE).await
    }

    pub async fn look_up_token(&self, body: &tokens::WhichToken) -> Result<tokens::Token> {
        self.call(Method::POST, "auth/token/lookup", &(), Some(body)).await
    }

    pub async fn renew_token(&self, body: &tokens::WhichToken) -> Result<tokens::Token> {
        self.call(Method::POST, "auth/token/renew", &(), Some(body)).await
    }

    pub async fn revoke_tokens(&self, body: &tokens::Revoke) -> Result<()> {
        let IgnoredAny = self.call(Method::POST, "auth/token/revoke", &(), Some(body)).await?;
        Ok(())
    }

    pub async fn namespaces(&self, query: &PageQuery) -> Result<Page<namespaces::Namespace>> {
        self.call(Method::GET, "namespaces", query, NONE).await
    }

    pub async fn namespace(&self, name: &NamespaceName) -> Result<namespaces::Namespace> {
        self.call(Method::GET, &format!("namespaces/{name}"), &(), NONE).await
    }

    pub async fn create_namespace(&self, name: &NamespaceName) -> Result<namespaces::Namespace> {
        self.call(Method::PUT, &format!("namespaces/{name}"), &(), NONE).await
    }

    pub async fn delete_namespace(&self, name: &NamespaceName, query: &namespaces::DeleteQuery) -> Result<()> {
        let path = format!("namespaces/{name}");
        let IgnoredAny = self.call(Method::DELETE, &path, query, NONE).await?;
        Ok(())
    }

    pub async fn namespace_token(&self, name: &NamespaceName) -> Result<namespaces::SetupToken> {
        self.call(Method::POST, &format!("namespaces/{name}/token"), &(), NONE)
            .await
    }
}
