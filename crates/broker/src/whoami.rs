//! Who a token stands for, told to its bearer.

use strongroom_domain::audit::Action;
use strongroom_domain::grant::PrincipalKind;
use strongroom_domain::{Name, ObjectId, PrincipalId, Result, Time};

use crate::Broker;
use crate::record::Served;
use crate::request::Request;
use crate::session::{Grants, Proven, Session};

#[derive(Debug, Clone)]
pub struct WhoAmI {
    pub principal: PrincipalId,
    pub kind: PrincipalKind,
    /// None: erased.
    pub name: Option<String>,
    pub root: bool,
    /// A workload's client and role.
    pub client: Option<ObjectId>,
    /// A workload's.
    pub role: Option<Name>,
    /// By which of others' methods it logged in.
    pub method: Option<Name>,
    /// An operator's groups.
    pub groups: Vec<Name>,
    pub policies: Vec<Name>,
    pub expires_at: Option<Time>,
}

fn view(session: &Session) -> WhoAmI {
    let whose = &session.whose;
    let (client, role, method, groups) = match &whose.proven {
        Proven::Client { id, role } => (Some(*id), Some(role.clone()), None, Vec::new()),
        Proven::Operator { groups, .. } => (None, None, None, groups.clone()),
        Proven::Vouched { method, role, groups } => (None, role.clone(), Some(method.clone()), groups.clone()),
        Proven::Token => (None, None, None, Vec::new()),
    };
    WhoAmI {
        principal: session.principal,
        kind: whose.kind,
        name: whose.name.clone(),
        root: matches!(session.grants, Grants::Root),
        client,
        role,
        method,
        groups,
        policies: whose.policies.clone(),
        expires_at: session.expires_at,
    }
}

impl Broker {
    /// Needs no capability: it tells nobody else's.
    pub async fn whoami(&self, request: &Request) -> Result<WhoAmI> {
        self.serve(request, Action::Whoami, "", |attempt| async move {
            Ok(Served::fresh(view(&attempt.session)))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;

    #[tokio::test]
    async fn the_machines_operator_is_told_who_it_is() {
        let place = Place::new().await;
        let told = place.broker.whoami(&place.request().of_operator()).await.unwrap();
        assert_eq!(told.name.as_deref(), Some("system:operator"));
        assert!(told.kind == PrincipalKind::Operator && told.root && told.client.is_none());
    }
}
