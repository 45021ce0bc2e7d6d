use http::StatusCode;
use strongroom_api::leases::{EndQuery, For, Lease, LeaseRole, LeaseState, LeasesQuery, NewLease};
use strongroom_api::{Page, PageQuery};
use strongroom_broker::{LeaseRoleView, LeaseView};
use strongroom_domain::lease::{self, LeaseRoleConfig};

use crate::answer::{Answer, created, json, no_content, ok};
use crate::body::Json;
use crate::call::{Asked, Call, LeaseNamed, Named, page_limit};

fn role(view: LeaseRoleView) -> LeaseRole {
    LeaseRole {
        name: view.name,
        config: view.config,
        created_at: view.created_at,
        updated_at: view.updated_at,
    }
}

fn shown(view: LeaseView) -> Lease {
    let lease = view.lease;
    let (state, failure) = match lease.state {
        lease::LeaseState::Planned { .. } => (LeaseState::Planned, None),
        lease::LeaseState::Live => (LeaseState::Live, None),
        lease::LeaseState::Ending(ending) => (LeaseState::Ending, ending.reason),
    };
    Lease {
        lease_id: view.id.to_string(),
        role: lease.role,
        target: lease.target,
        username: lease.username,
        holder: lease.holder,
        state,
        expires_at: lease.expires_at,
        renewable_until: lease.max_until,
        created_at: lease.created_at,
        failure,
    }
}

pub(crate) async fn roles(Call { broker, request }: Call, Asked(query): Asked<PageQuery>) -> Answer {
    let after = query.cursor.unwrap_or_default();
    let (views, next_cursor) = broker.lease_roles(&request, &after, page_limit(query.limit)?).await?;
    ok(&Page {
        items: views.into_iter().map(role).collect(),
        next_cursor,
    })
}

pub(crate) async fn read_role(Call { broker, request }: Call, Named(name): Named) -> Answer {
    ok(&role(broker.lease_role(&request, &name).await?))
}

pub(crate) async fn write_role(
    Call { broker, request }: Call,
    Named(name): Named,
    Json(body): Json<LeaseRoleConfig>,
) -> Answer {
    ok(&role(broker.put_lease_role(&request, &name, body).await?))
}

pub(crate) async fn delete_role(Call { broker, request }: Call, Named(name): Named) -> Answer {
    broker.delete_lease_role(&request, &name).await?;
    no_content()
}

pub(crate) async fn list(Call { broker, request }: Call, Asked(query): Asked<LeasesQuery>) -> Answer {
    let (after, limit) = (query.cursor.unwrap_or_default(), page_limit(query.limit)?);
    let page = broker.leases(&request, query.role.as_ref(), &after, limit).await?;
    ok(&Page {
        items: page.items.into_iter().map(shown).collect(),
        next_cursor: page.next,
    })
}

pub(crate) async fn create(Call { broker, request }: Call, Named(name): Named, Json(body): Json<For>) -> Answer {
    let lease = broker.create_lease(&request, &name, body.ttl).await?;
    created(&NewLease {
        lease_id: lease.id.to_string(),
        expires_at: lease.expires_at,
        engine: lease.engine,
        host: lease.host,
        port: lease.port,
        dbname: lease.dbname,
        username: lease.username,
        password: lease.password,
        url: lease.url,
    })
}

pub(crate) async fn read(Call { broker, request }: Call, LeaseNamed(id): LeaseNamed) -> Answer {
    ok(&shown(broker.lease(&request, &id).await?))
}

pub(crate) async fn renew(Call { broker, request }: Call, LeaseNamed(id): LeaseNamed, Json(body): Json<For>) -> Answer {
    ok(&shown(broker.renew_lease(&request, &id, body.ttl).await?))
}

pub(crate) async fn revoke(
    Call { broker, request }: Call,
    LeaseNamed(id): LeaseNamed,
    Asked(query): Asked<EndQuery>,
) -> Answer {
    if query.abandon {
        broker.abandon_lease(&request, &id).await?;
        return no_content();
    }
    match broker.revoke_lease(&request, &id).await? {
        None => no_content(),
        Some(lease) => Ok(json(StatusCode::ACCEPTED, &shown(lease))),
    }
}
