use strongroom_api::roles::{Role, WriteRole};
use strongroom_api::{Page, PageQuery};
use strongroom_broker::RoleView;
use strongroom_domain::grant::DEFAULT_ACCESS_TOKEN_TTL;

use crate::answer::{Answer, no_content, ok};
use crate::body::Json;
use crate::call::{Asked, Call, Named, page_limit};

fn shown(view: RoleView) -> Role {
    Role {
        name: view.name,
        policies: view.policies,
        access_token_ttl: view.access_token_ttl,
        bounds: view.bounds,
        created_at: view.created_at,
        updated_at: view.updated_at,
    }
}

pub(crate) async fn list(Call { broker, request }: Call, Asked(query): Asked<PageQuery>) -> Answer {
    let after = query.cursor.unwrap_or_default();
    let (views, next_cursor) = broker.roles(&request, &after, page_limit(query.limit)?).await?;
    ok(&Page {
        items: views.into_iter().map(shown).collect(),
        next_cursor,
    })
}

pub(crate) async fn read(Call { broker, request }: Call, Named(name): Named) -> Answer {
    ok(&shown(broker.role(&request, &name).await?))
}

pub(crate) async fn write(Call { broker, request }: Call, Named(name): Named, Json(body): Json<WriteRole>) -> Answer {
    let ttl = body.access_token_ttl.unwrap_or(DEFAULT_ACCESS_TOKEN_TTL);
    let written = broker.put_role(&request, &name, body.policies, ttl, body.bounds);
    ok(&shown(written.await?))
}

pub(crate) async fn delete(Call { broker, request }: Call, Named(name): Named) -> Answer {
    broker.delete_role(&request, &name).await?;
    no_content()
}
