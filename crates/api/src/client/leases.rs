//! Lease roles, and leases.

use reqwest::Method;
use serde::de::IgnoredAny;
use strongroom_domain::Name;
use strongroom_domain::lease::{LeaseId, LeaseRoleConfig};

use super::routes::NONE;
use super::{Client, Result};
use crate::leases::{EndQuery, For, Lease, LeaseRole, LeasesQuery, NewLease};
use crate::{Page, PageQuery};

impl Client {
    pub async fn lease_roles(&self, query: &PageQuery) -> Result<Page<LeaseRole>> {
        self.call(Method::GET, "lease-roles", query, NONE).await
    }

    pub async fn lease_role(&self, name: &Name) -> Result<LeaseRole> {
        self.call(Method::GET, &format!("lease-roles/{name}"), &(), NONE).await
    }

    pub async fn write_lease_role(&self, name: &Name, body: &LeaseRoleConfig) -> Result<LeaseRole> {
        self.call(Method::PUT, &format!("lease-roles/{name}"), &(), Some(body))
            .await
    }

    pub async fn delete_lease_role(&self, name: &Name) -> Result<()> {
        let path = format!("lease-roles/{name}");
        let IgnoredAny = self.call(Method::DELETE, &path, &(), NONE).await?;
        Ok(())
    }

    pub async fn leases(&self, query: &LeasesQuery) -> Result<Page<Lease>> {
        self.call(Method::GET, "leases", query, NONE).await
    }

    pub async fn create_lease(&self, role: &Name, body: &For) -> Result<NewLease> {
        self.call(Method::POST, &format!("leases/{role}"), &(), Some(body))
            .await
    }

    pub async fn lease(&self, id: &LeaseId) -> Result<Lease> {
        self.call(Method::GET, &format!("leases/{id}"), &(), NONE).await
    }

    pub async fn renew_lease(&self, id: &LeaseId, body: &For) -> Result<Lease> {
        self.call(Method::POST, &format!("leases/{id}/renew"), &(), Some(body))
            .await
    }

    /// None: its user is gone. Else it is still to go.
    pub async fn revoke_lease(&self, id: &LeaseId, query: &EndQuery) -> Result<Option<Lease>> {
        self.call(Method::DELETE, &format!("leases/{id}"), query, NONE).await
    }
}
