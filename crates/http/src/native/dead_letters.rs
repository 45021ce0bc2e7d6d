use http::StatusCode;
use strongroom_api::dead_letters::{DeadLetter, TellDeadLetter, UntoldNotice};
use strongroom_api::{Page, PageQuery};
use strongroom_domain::{Error, ObjectId, notice};

use crate::answer::{Answer, json, no_content, ok};
use crate::body::Json;
use crate::call::{Asked, Call, Ids, page_limit};

fn shown(letter: notice::DeadLetter) -> DeadLetter {
    DeadLetter {
        id: letter.id.to_string(),
        expires_at: letter.due(),
        target: letter.target,
        event: letter.happened.event,
        about: letter.happened.about,
        version: letter.happened.version,
        timestamp: letter.happened.at,
        tries: letter.tries,
        failure: letter.reason,
        died_at: letter.died_at,
    }
}

pub(crate) async fn list(Call { broker, request }: Call, Asked(query): Asked<PageQuery>) -> Answer {
    let after = query.cursor.unwrap_or_default();
    let page = broker.dead_letters(&request, &after, page_limit(query.limit)?).await?;
    ok(&Page {
        items: page.items.into_iter().map(shown).collect(),
        next_cursor: page.next,
    })
}

pub(crate) async fn tell(
    Call { broker, request }: Call,
    Ids([id]): Ids<1>,
    Json(body): Json<TellDeadLetter>,
) -> Answer {
    let id = ObjectId::parse(&id).ok_or_else(|| Error::internal("an id that is none"))?;
    match broker.tell_dead_letter(&request, id, body.action).await? {
        None => no_content(),
        Some(untold) => Ok(json(
            StatusCode::ACCEPTED,
            &UntoldNotice {
                id: untold.id.to_string(),
                target: untold.target,
                failure: untold.reason,
                next_at: untold.next_at,
            },
        )),
    }
}
