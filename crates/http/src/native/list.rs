use strongroom_api::list::{self, Item, ListQuery};
use strongroom_broker::{ListFilter, Listing};
use strongroom_domain::Error;

use crate::answer::{Answer, ok};
use crate::call::{Asked, Call, Folder, page_limit};

pub(crate) async fn list(
    Call { broker, request }: Call,
    Folder(prefix): Folder,
    Asked(query): Asked<ListQuery>,
) -> Answer {
    let tag = match query.tag.as_deref().map(|tag| tag.split_once(':')) {
        None => None,
        Some(Some((key, value))) => Some((key.to_owned(), value.to_owned())),
        Some(None) => return Err(Error::invalid("'tag' is 'key:value'.").into()),
    };
    let asked = Listing {
        prefix: prefix.clone(),
        recursive: query.recursive,
        filter: ListFilter {
            text: query.q,
            secret_type: query.secret_type,
            owner: query.owner,
            tag,
        },
        after: query.cursor.unwrap_or_default(),
        limit: page_limit(query.limit)?,
    };
    let page = broker.list(&request, &asked).await?;
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
    ok(&list::Listing {
        prefix: prefix.as_str().to_owned(),
        items,
        next_cursor: page.next,
    })
}
