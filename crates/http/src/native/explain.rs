use strongroom_api::Page;
use strongroom_api::explain::{self as api, Deciding, Decision, Explain, Explained, Holder, WhoCan, asked};
use strongroom_broker::{self as broker, ExplainQuery, HolderKind, Way, WhoCanQuery};
use strongroom_domain::policy::{self, path_meant};
use strongroom_domain::{Error, Result};

use crate::answer::{Answer, ok};
use crate::body::Json;
use crate::call::{Asked, Call, page_limit};

fn query(body: Explain) -> Result<ExplainQuery> {
    match body {
        Explain {
            denial_id: Some(id),
            capability: None,
            path: None,
            principal: None,
            from: None,
        } => Ok(ExplainQuery::Denial(id)),
        Explain {
            denial_id: None,
            capability: Some(capability),
            path: Some(path),
            principal,
            from,
        } if from.is_none() || principal.is_some() => Ok(ExplainQuery::Access {
            capability: asked(capability)?,
            path: path_meant(&path)?,
            principal,
            from,
        }),
        _ => Err(Error::invalid(
            "Send 'denial_id', or 'capability' and 'path', with these perhaps 'principal', and with that perhaps 'from'.",
        )),
    }
}

pub(crate) fn deciding(deciding: policy::Deciding) -> Deciding {
    Deciding {
        path: deciding.path,
        capabilities: deciding.capabilities,
        policies: deciding.policies,
        networks: deciding.networks,
    }
}

fn shown(found: broker::Explained) -> Explained {
    let (capability, path) = (found.capability, found.path);
    let detail = policy::in_words(capability, &path, found.explanation.as_ref());
    let root = found.explanation.is_none();
    let explanation = found.explanation.unwrap_or_else(policy::Explanation::root);
    let decision = match explanation.decision {
        policy::Decision::Allow => Decision::Allow,
        policy::Decision::Deny => Decision::Deny,
        policy::Decision::NoGrant => Decision::NoGrant,
    };
    Explained {
        decision,
        principal: found.principal,
        capability,
        path,
        detail,
        root,
        deciding: explanation.deciding.map(deciding),
        missing: Some(capability).filter(|_| decision != Decision::Allow),
        would_allow: explanation.would_allow.map(Into::into),
    }
}

pub(crate) async fn explain(Call { broker, request }: Call, Json(body): Json<Explain>) -> Answer {
    ok(&shown(broker.explain(&request, &query(body)?).await?))
}

pub(crate) fn way(way: Way) -> api::Way {
    match way {
        Way::Own => api::Way::Own,
        Way::Group(name) => api::Way::Group(name),
        Way::Role(name) => api::Way::Role(name),
    }
}

pub(crate) fn kind(kind: HolderKind) -> api::HolderKind {
    match kind {
        HolderKind::Role => api::HolderKind::Role,
        HolderKind::Client => api::HolderKind::Client,
        HolderKind::Operator => api::HolderKind::Operator,
        HolderKind::Token => api::HolderKind::Token,
        HolderKind::BrowserKey => api::HolderKind::BrowserKey,
    }
}

fn holder(found: broker::Holder) -> Holder {
    Holder {
        kind: kind(found.kind),
        name: found.name,
        principal: found.principal,
        root: found.deciding.is_none(),
        deciding: found.deciding.map(deciding),
        through: found.through.into_iter().map(way).collect(),
    }
}

pub(crate) async fn who_can(Call { broker, request }: Call, Asked(query): Asked<WhoCan>) -> Answer {
    let query = WhoCanQuery {
        capability: asked(query.capability)?,
        path: path_meant(&query.path)?,
        from: query.from,
        after: query.cursor.unwrap_or_default(),
        limit: page_limit(query.limit)?,
    };
    let page = broker.who_can(&request, &query).await?;
    ok(&Page {
        items: page.items.into_iter().map(holder).collect(),
        next_cursor: page.next,
    })
}
