use strongroom_api::auth::{BeginTotp, ConfirmTotp, NewTotp};
use strongroom_api::operators::{Operator, ResetPassword, WriteOperator};
use strongroom_api::{Page, PageQuery};
use strongroom_broker::OperatorView;

use crate::answer::{Answer, created, no_content, ok};
use crate::body::Json;
use crate::call::{Asked, Call, Named, page_limit};

fn shown(view: OperatorView) -> Operator {
    Operator {
        name: view.name,
        principal: view.principal,
        policies: view.policies,
        groups: view.groups,
        metadata: view.metadata,
        totp: view.totp,
        password_set_at: view.password_set_at,
        created_at: view.created_at,
        updated_at: view.updated_at,
    }
}

pub(crate) async fn list(Call { broker, request }: Call, Asked(query): Asked<PageQuery>) -> Answer {
    let after = query.cursor.unwrap_or_default();
    let (views, next_cursor) = broker.operators(&request, &after, page_limit(query.limit)?).await?;
    ok(&Page {
        items: views.into_iter().map(shown).collect(),
        next_cursor,
    })
}

pub(crate) async fn read(Call { broker, request }: Call, Named(name): Named) -> Answer {
    ok(&shown(broker.operator(&request, &name).await?))
}

pub(crate) async fn write(
    Call { broker, request }: Call,
    Named(name): Named,
    Json(body): Json<WriteOperator>,
) -> Answer {
    let written = broker.put_operator(&request, &name, body.policies, body.groups, body.metadata);
    ok(&shown(written.await?))
}

pub(crate) async fn delete(Call { broker, request }: Call, Named(name): Named) -> Answer {
    broker.delete_operator(&request, &name).await?;
    no_content()
}

pub(crate) async fn reset_password(
    Call { broker, request }: Call,
    Named(name): Named,
    Json(body): Json<ResetPassword>,
) -> Answer {
    broker.reset_password(&request, &name, &body.password).await?;
    no_content()
}

pub(crate) async fn remove_totp(Call { broker, request }: Call, Named(name): Named) -> Answer {
    broker.remove_totp(&request, &name).await?;
    no_content()
}

pub(crate) async fn begin_totp(Call { broker, request }: Call, Json(body): Json<BeginTotp>) -> Answer {
    let new = broker.begin_totp(&request, &body.current_password).await?;
    created(&NewTotp {
        secret: new.secret,
        uri: new.uri,
    })
}

pub(crate) async fn confirm_totp(Call { broker, request }: Call, Json(body): Json<ConfirmTotp>) -> Answer {
    broker.confirm_totp(&request, &body.code).await?;
    no_content()
}
