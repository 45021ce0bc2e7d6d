use axum::extract::State;
use strongroom_api::operators::{Operator, ResetPassword, WriteOperator};
use strongroom_api::{Page, PageQuery};
use strongroom_broker::OperatorView;

use crate::App;
use crate::answer::{Answer, no_content, ok};
use crate::body::Json;
use crate::call::{Asked, Call, Named, page_limit};

fn shown(view: OperatorView) -> Operator {
    Operator {
        name: view.name,
        principal: view.principal,
        policies: view.policies,
        groups: view.groups,
        password_set_at: view.password_set_at,
        created_at: view.created_at,
        updated_at: view.updated_at,
    }
}

pub(crate) async fn list(State(app): State<App>, Call(request): Call, Asked(query): Asked<PageQuery>) -> Answer {
    let after = query.cursor.unwrap_or_default();
    let (views, next_cursor) = app.broker.operators(&request, &after, page_limit(query.limit)?).await?;
    ok(&Page {
        items: views.into_iter().map(shown).collect(),
        next_cursor,
    })
}

pub(crate) async fn read(State(app): State<App>, Call(request): Call, Named(name): Named) -> Answer {
    ok(&shown(app.broker.operator(&request, &name).await?))
}

pub(crate) async fn write(
    State(app): State<App>,
    Call(request): Call,
    Named(name): Named,
    Json(body): Json<WriteOperator>,
) -> Answer {
    let written = app.broker.put_operator(&request, &name, body.policies, body.groups);
    ok(&shown(written.await?))
}

pub(crate) async fn delete(State(app): State<App>, Call(request): Call, Named(name): Named) -> Answer {
    app.broker.delete_operator(&request, &name).await?;
    no_content()
}

pub(crate) async fn reset_password(
    State(app): State<App>,
    Call(request): Call,
    Named(name): Named,
    Json(body): Json<ResetPassword>,
) -> Answer {
    app.broker.reset_password(&request, &name, &body.password).await?;
    no_content()
}
