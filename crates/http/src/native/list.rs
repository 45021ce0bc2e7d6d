use axum::extract::State;
use strongroom_api::list::{Item, ListQuery, Listing};

use crate::App;
use crate::answer::{Answer, ok};
use crate::call::{Asked, Call, Folder, page_limit};

pub(crate) async fn list(
    State(app): State<App>,
    Call(request): Call,
    Folder(prefix): Folder,
    Asked(query): Asked<ListQuery>,
) -> Answer {
    let after = query.cursor.unwrap_or_default();
    let page = app
        .broker
        .list(&request, &prefix, query.recursive, &after, page_limit(query.limit)?)
        .await?;
    let items = page
        .items
        .into_iter()
        .map(|item| Item {
            name: item.name,
            path: item.path,
            folder: item.folder,
            version: item.version,
            updated_at: item.updated_at,
        })
        .collect();
    ok(&Listing {
        prefix: prefix.as_str().to_owned(),
        items,
        next_cursor: page.next,
    })
}
