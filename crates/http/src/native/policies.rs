use strongroom_api::policies::{
    self as api, Policy, PolicyHistory, PolicyOrChanges, PolicyVersion, WritePolicy, Writing,
};
use strongroom_api::{Page, PageQuery};
use strongroom_broker::{AccessChange, PolicyView, RuleSet};

use crate::answer::{Answer, no_content, ok};
use crate::body::Json;
use crate::call::{Asked, Call, Named, page_limit};
use crate::native::explain::{deciding, kind, way};

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

fn change(found: AccessChange) -> api::AccessChange {
    let change = found.change;
    api::AccessChange {
        kind: kind(found.kind),
        name: found.name,
        principal: found.principal,
        through: found.through.into_iter().map(way).collect(),
        change: if change.gained {
            api::Direction::Gained
        } else {
            api::Direction::Lost
        },
        capability: change.capability,
        path: change.path,
        from: change.from,
        before: change.before.map(deciding),
        after: change.after.map(deciding),
    }
}

pub(crate) async fn write(
    Call { broker, request }: Call,
    Named(name): Named,
    Asked(writing): Asked<Writing>,
    Json(body): Json<WritePolicy>,
) -> Answer {
    let rules = RuleSet {
        rules: body.rules.into_iter().map(Into::into).collect(),
        cas: body.cas,
    };
    if writing.dry_run {
        let found = broker.try_policy(&request, &name, rules).await?;
        return ok(&PolicyOrChanges::Changes(api::PolicyChanges {
            changes: found.items.into_iter().map(change).collect(),
            more: found.more,
        }));
    }
    let written = broker.put_policy(&request, &name, rules).await?;
    ok(&PolicyOrChanges::Policy(shown(written)))
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
