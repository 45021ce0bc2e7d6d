use strongroom_api::policies::{Policy, PolicyHistory, PolicyVersion, WritePolicy};
use strongroom_api::{Page, PageQuery};
use strongroom_broker::{PolicyView, RuleSet};

use crate::answer::{Answer, no_content, ok};
use crate::body::Json;
use crate::call::{Asked, Call, Named, page_limit};

fn shown(view: PolicyView) -> Policy {
    Policy {
        name: view.name,
        rules: view.rules.into_iter().map(Into::into).collect(),
        built_in: view.built_in,
        version: view.version,
        created_at: view.created_at,
        updated_at: view.updated_at,
    }
}

pub(crate) async fn list(Call { broker, request }: Call, Asked(query): Asked<PageQuery>) -> Answer {
    let after = query.cursor.unwrap_or_default();
    let (views, next_cursor) = broker.policies(&request, &after, page_limit(query.limit)?).await?;
    ok(&Page {
        items: views.into_iter().map(shown).collect(),
        next_cursor,
    })
}

pub(crate) async fn read(Call { broker, request }: Call, Named(name): Named) -> Answer {
    ok(&shown(broker.policy(&request, &name).await?))
}

pub(crate) async fn write(Call { broker, request }: Call, Named(name): Named, Json(body): Json<WritePolicy>) -> Answer {
    let rules = RuleSet {
        rules: body.rules.into_iter().map(Into::into).collect(),
        cas: body.cas,
    };
    ok(&shown(broker.put_policy(&request, &name, rules).await?))
}

pub(crate) async fn history(Call { broker, request }: Call, Named(name): Named) -> Answer {
    let versions = broker.policy_history(&request, &name).await?;
    let items = versions.into_iter().map(|found| PolicyVersion {
        version: found.version,
        rules: found.rules.into_iter().map(Into::into).collect(),
        written_at: found.written_at,
        principal: found.by,
    });
    ok(&PolicyHistory {
        name,
        items: items.collect(),
    })
}

pub(crate) async fn delete(Call { broker, request }: Call, Named(name): Named) -> Answer {
    broker.delete_policy(&request, &name).await?;
    no_content()
}
