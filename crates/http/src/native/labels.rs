use strongroom_api::labels::{MoveLabel, Moved, RemoveQuery};

use crate::answer::{Answer, no_content, ok};
use crate::body::Json;
use crate::call::{Asked, Call, Path};

pub(crate) async fn put(Call { broker, request }: Call, Path(path): Path, Json(body): Json<MoveLabel>) -> Answer {
    broker.move_label(&request, &path, &body.label, body.version).await?;
    ok(&Moved {
        path: path.to_string(),
        label: body.label,
        version: body.version,
    })
}

pub(crate) async fn delete(
    Call { broker, request }: Call,
    Path(path): Path,
    Asked(query): Asked<RemoveQuery>,
) -> Answer {
    broker.remove_label(&request, &path, &query.label).await?;
    no_content()
}
