use strongroom_api::groups::{Group, WriteGroup};
use strongroom_api::{Page, PageQuery};
use strongroom_broker::GroupView;

use crate::answer::{Answer, no_content, ok};
use crate::body::Json;
use crate::call::{Asked, Call, Named, page_limit};

fn shown(view: GroupView) -> Group {
    Group {
        name: view.name,
        policies: view.policies,
        created_at: view.created_at,
        updated_at: view.updated_at,
    }
}

pub(crate) async fn list(Call { broker, request }: Call, Asked(query): Asked<PageQuery>) -> Answer {
    let after = query.cursor.unwrap_or_default();
    let (views, next_cursor) = broker.groups(&request, &after, page_limit(query.limit)?).await?;
    ok(&Page {
        items: views.into_iter().map(shown).collect(),
        next_cursor,
    })
}

pub(crate) async fn read(Call { broker, request }: Call, Named(name): Named) -> Answer {
    ok(&shown(broker.group(&request, &name).await?))
}

pub(crate) async fn write(Call { broker, request }: Call, Named(name): Named, Json(body): Json<WriteGroup>) -> Answer {
    ok(&shown(broker.put_group(&request, &name, body.policies).await?))
}

pub(crate) async fn delete(Call { broker, request }: Call, Named(name): Named) -> Answer {
    broker.delete_group(&request, &name).await?;
    no_content()
}
