use strongroom_api::targets::Target;
use strongroom_api::{Page, PageQuery};
use strongroom_broker::TargetView;
use strongroom_domain::target::TargetConfig;

use crate::answer::{Answer, no_content, ok};
use crate::body::Json;
use crate::call::{Asked, Call, Named, page_limit};

fn shown(view: TargetView) -> Target {
    Target {
        name: view.name,
        config: view.config,
        created_at: view.created_at,
        updated_at: view.updated_at,
    }
}

pub(crate) async fn list(Call { broker, request }: Call, Asked(query): Asked<PageQuery>) -> Answer {
    let after = query.cursor.unwrap_or_default();
    let (views, next_cursor) = broker.targets(&request, &after, page_limit(query.limit)?).await?;
    ok(&Page {
        items: views.into_iter().map(shown).collect(),
        next_cursor,
    })
}

pub(crate) async fn read(Call { broker, request }: Call, Named(name): Named) -> Answer {
    ok(&shown(broker.target(&request, &name).await?))
}

pub(crate) async fn write(
    Call { broker, request }: Call,
    Named(name): Named,
    Json(body): Json<TargetConfig>,
) -> Answer {
    ok(&shown(broker.put_target(&request, &name, body).await?))
}

pub(crate) async fn delete(Call { broker, request }: Call, Named(name): Named) -> Answer {
    broker.delete_target(&request, &name).await?;
    no_content()
}
