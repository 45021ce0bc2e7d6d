use strongroom_api::clients::{Client, ClientSecret, CreateClient, Created, SecretAdded};
use strongroom_api::{Page, PageQuery};
use strongroom_broker::ClientView;
use strongroom_domain::{Name, Result};

use crate::answer::{Answer, created, no_content, ok};
use crate::body::Json;
use crate::call::{Asked, Call, Ids, page_limit};

fn shown(view: ClientView) -> Result<Client> {
    let secrets = view.secrets.into_iter();
    Ok(Client {
        client_id: view.client_id.to_string(),
        name: Name::parse(&view.name)?,
        role: view.role,
        principal: view.principal,
        metadata: view.metadata,
        secrets: secrets
            .map(|secret| ClientSecret {
                secret_id: secret.secret_id.to_string(),
                created_at: secret.created_at,
            })
            .collect(),
        created_at: view.created_at,
    })
}

pub(crate) async fn list(Call { broker, request }: Call, Asked(query): Asked<PageQuery>) -> Answer {
    let after = query.cursor.unwrap_or_default();
    let (views, next_cursor) = broker.clients(&request, &after, page_limit(query.limit)?).await?;
    ok(&Page {
        items: views.into_iter().map(shown).collect::<Result<Vec<_>>>()?,
        next_cursor,
    })
}

pub(crate) async fn create(Call { broker, request }: Call, Json(body): Json<CreateClient>) -> Answer {
    let new = broker.create_client(&request, &body.name, &body.role, &body.metadata);
    let new = new.await?;
    created(&Created {
        client_id: new.client_id,
        client_secret: new.client_secret.into(),
        secret_id: new.secret_id,
        name: body.name,
        role: new.role,
    })
}

pub(crate) async fn read(Call { broker, request }: Call, Ids([id]): Ids<1>) -> Answer {
    ok(&shown(broker.client(&request, &id).await?)?)
}

pub(crate) async fn delete(Call { broker, request }: Call, Ids([id]): Ids<1>) -> Answer {
    broker.delete_client(&request, &id).await?;
    no_content()
}

pub(crate) async fn add_secret(Call { broker, request }: Call, Ids([id]): Ids<1>) -> Answer {
    let new = broker.add_client_secret(&request, &id).await?;
    created(&SecretAdded {
        client_id: new.client_id,
        secret_id: new.secret_id,
        client_secret: new.client_secret.into(),
    })
}

pub(crate) async fn delete_secret(Call { broker, request }: Call, Ids([id, secret_id]): Ids<2>) -> Answer {
    broker.delete_client_secret(&request, &id, &secret_id).await?;
    no_content()
}
