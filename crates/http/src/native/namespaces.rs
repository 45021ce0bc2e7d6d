use strongroom_api::namespaces::{DeleteQuery, Namespace, SetupToken};
use strongroom_api::{Page, PageQuery};
use strongroom_broker::NamespaceView;

use crate::answer::{Answer, created, no_content, ok};
use crate::call::{Asked, Call, NamedNamespace, page_limit};

fn shown(view: NamespaceView) -> Namespace {
    Namespace {
        name: view.name,
        id: view.id,
        created_at: view.created_at,
        deleted_at: view.deleted_at,
    }
}

pub(crate) async fn list(Call { broker, request }: Call, Asked(query): Asked<PageQuery>) -> Answer {
    let after = query.cursor.unwrap_or_default();
    let (views, next_cursor) = broker.namespaces(&request, &after, page_limit(query.limit)?).await?;
    ok(&Page {
        items: views.into_iter().map(shown).collect(),
        next_cursor,
    })
}

pub(crate) async fn read(Call { broker, request }: Call, NamedNamespace(name): NamedNamespace) -> Answer {
    ok(&shown(broker.read_namespace(&request, &name).await?))
}

pub(crate) async fn write(Call { broker, request }: Call, NamedNamespace(name): NamedNamespace) -> Answer {
    ok(&shown(broker.create_namespace(&request, &name).await?))
}

pub(crate) async fn delete(
    Call { broker, request }: Call,
    NamedNamespace(name): NamedNamespace,
    Asked(query): Asked<DeleteQuery>,
) -> Answer {
    broker.delete_namespace(&request, &name, query.abandon).await?;
    no_content()
}

pub(crate) async fn token(Call { broker, request }: Call, NamedNamespace(name): NamedNamespace) -> Answer {
    let made = broker.namespace_token(&request, &name).await?;
    created(&SetupToken {
        token: made.token,
        accessor: made.accessor,
        expires_at: made.expires_at,
    })
}
