use http::StatusCode;
use strongroom_api::Page;
use strongroom_api::rotation::{CalendarQuery, Planned, Rotation, Run, Tell};
use strongroom_broker::RotationView;
use strongroom_domain::rotation::RotationFields;

use crate::answer::{Answer, json, no_content, ok};
use crate::body::Json;
use crate::call::{Asked, Call, Path, page_limit};

fn shown(view: RotationView) -> Rotation {
    let due = view.rotation.due();
    Rotation {
        path: view.path.to_string(),
        version: view.current_version,
        turns: view.rotation.users,
        paused: view.rotation.paused,
        overdue: view.overdue,
        next_at: view.rotation.next_at,
        rotated_at: view.rotation.rotated_at,
        run: view.rotation.run.map(|run| Run {
            goal: run.goal,
            step: run.step,
            version: Some(run.version).filter(|version| *version > 0),
            began_at: run.began_at,
            next_at: due,
            failure: run.failure,
        }),
        policy: view.rotation.policy.into(),
    }
}

pub(crate) async fn list(Call { broker, request }: Call, Asked(query): Asked<CalendarQuery>) -> Answer {
    let after = query.cursor.unwrap_or_default();
    let (when, limit) = ((query.from, query.to), page_limit(query.limit)?);
    let page = broker.rotations(&request, when, &after, limit).await?;
    let items = page.items.into_iter().map(|planned| Planned {
        rotation: shown(planned.view),
        planned: planned.runs,
    });
    ok(&Page {
        items: items.collect(),
        next_cursor: page.next,
    })
}

pub(crate) async fn read(Call { broker, request }: Call, Path(path): Path) -> Answer {
    ok(&shown(broker.rotation(&request, &path).await?))
}

pub(crate) async fn write(
    Call { broker, request }: Call,
    Path(path): Path,
    Json(body): Json<RotationFields>,
) -> Answer {
    ok(&shown(broker.put_rotation(&request, &path, body).await?))
}

pub(crate) async fn tell(Call { broker, request }: Call, Path(path): Path, Json(body): Json<Tell>) -> Answer {
    let view = broker.tell_rotation(&request, &path, body.action).await?;
    let status = if view.rotation.run.is_none() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    Ok(json(status, &shown(view)))
}

pub(crate) async fn delete(Call { broker, request }: Call, Path(path): Path) -> Answer {
    broker.delete_rotation(&request, &path).await?;
    no_content()
}
