use strongroom_api::versions::{Action, ChangeVersions, Changed, History, Version};
use strongroom_domain::Error;

use crate::answer::{Answer, ok};
use crate::body::Json;
use crate::call::{Call, Path};

/// Versions one call undeletes or destroys.
const MAX_VERSIONS: usize = 100;

pub(crate) async fn history(Call { broker, request }: Call, Path(path): Path) -> Answer {
    let found = broker.history(&request, &path).await?;
    let head = found.head;
    let versions = head
        .versions
        .iter()
        .map(|entry| Version {
            version: entry.number,
            id: entry.id.clone(),
            state: entry.state_at(broker.now()),
            labels: head.labels_of(entry.number),
            created_at: entry.created_at,
            created_by: entry.created_by,
            deleted_at: entry.deleted_at,
            delete_at: entry.delete_at,
        })
        .collect();
    ok(&History {
        path: path.to_string(),
        current: head.current(),
        labels: head.labels,
        versions,
    })
}

pub(crate) async fn change(
    Call { broker, request }: Call,
    Path(path): Path,
    Json(body): Json<ChangeVersions>,
) -> Answer {
    if !(1..=MAX_VERSIONS).contains(&body.versions.len()) {
        return Err(Error::invalid(format!("'versions' names 1 to {MAX_VERSIONS} versions.")).into());
    }
    match body.action {
        Action::Undelete => broker.undelete(&request, &path, &body.versions).await?,
        Action::Destroy => broker.destroy(&request, &path, &body.versions).await?,
    }
    ok(&Changed {
        path: path.to_string(),
        versions: body.versions,
    })
}
