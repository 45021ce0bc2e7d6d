use strongroom_api::flags::{BrowserKey, BrowserKeys, CreatedBrowserKey, NewBrowserKey};
use strongroom_broker::{BrowserKeyView, NewBrowserKey as New};
use strongroom_domain::{Error, ObjectId};

use crate::answer::{Answer, created, no_content, ok};
use crate::body::Json;
use crate::call::{Call, KeyNamed, SetNamed};

fn shown(view: BrowserKeyView) -> BrowserKey {
    BrowserKey {
        key_id: view.id,
        origins: view.body.origins,
        description: view.body.description,
        principal: view.body.by,
        created_at: view.body.created_at,
        expires_at: view.body.expires_at,
    }
}

pub(crate) async fn list(Call { broker, request }: Call, SetNamed(set): SetNamed) -> Answer {
    let keys = broker.browser_keys(&request, &set).await?;
    ok(&BrowserKeys {
        items: keys.into_iter().map(shown).collect(),
    })
}

pub(crate) async fn create(
    Call { broker, request }: Call,
    SetNamed(set): SetNamed,
    Json(body): Json<NewBrowserKey>,
) -> Answer {
    let new = New {
        origins: body.origins,
        description: body.description,
        ttl: body.ttl,
    };
    let made = broker.create_browser_key(&request, &set, &new).await?;
    created(&CreatedBrowserKey {
        key: made.key,
        about: shown(made.view),
    })
}

pub(crate) async fn delete(Call { broker, request }: Call, SetNamed(set): SetNamed, KeyNamed(id): KeyNamed) -> Answer {
    let id = ObjectId::parse(&id).ok_or_else(|| Error::invalid("An id is 32 lower-case hexadecimal digits."))?;
    broker.delete_browser_key(&request, &set, id).await?;
    no_content()
}
