use strongroom_api::metadata::{Action, ChangeSecret, DeleteQuery, Describe, Described, Patch, Retired};
use strongroom_broker::MetadataView;
use strongroom_domain::Error;

use crate::answer::{Answer, no_content, ok};
use crate::body::Json;
use crate::call::{Asked, Call, Path};

fn shown(view: MetadataView) -> Described {
    Described {
        path: view.path,
        description: view.metadata.description,
        secret_type: view.metadata.secret_type,
        owner: view.metadata.owner,
        tags: view.metadata.tags,
        max_versions: view.metadata.max_versions,
        cas_required: view.metadata.cas_required,
        delete_after: view.metadata.delete_after,
        pending_until: view.pending_until,
        last_used_at: view.last_used_at,
        due_at: view.due_at,
        current_version: view.current_version,
        created_at: view.created_at,
        updated_at: view.updated_at,
    }
}

pub(crate) async fn read(Call { broker, request }: Call, Path(path): Path) -> Answer {
    ok(&shown(broker.metadata(&request, &path).await?))
}

pub(crate) async fn replace(Call { broker, request }: Call, Path(path): Path, Json(body): Json<Describe>) -> Answer {
    ok(&shown(broker.put_metadata(&request, &path, &body.into()).await?))
}

pub(crate) async fn patch(Call { broker, request }: Call, Path(path): Path, Json(body): Json<Patch>) -> Answer {
    let fingerprint = serde_json::to_vec(&body).map_err(Error::internal)?;
    let patch = |metadata: &mut _| body.clone().apply(metadata);
    ok(&shown(
        broker.patch_metadata(&request, &path, &fingerprint, patch).await?,
    ))
}

pub(crate) async fn change(Call { broker, request }: Call, Path(path): Path, Json(body): Json<ChangeSecret>) -> Answer {
    match body.action {
        Action::Restore => broker.restore(&request, &path).await?,
    }
    no_content()
}

pub(crate) async fn delete(
    Call { broker, request }: Call,
    Path(path): Path,
    Asked(query): Asked<DeleteQuery>,
) -> Answer {
    match (query.purge, query.recovery_days) {
        (true, Some(_)) => Err(Error::invalid("Give 'purge' or 'recovery_days', not both.").into()),
        (true, None) => {
            broker.purge(&request, &path).await?;
            no_content()
        }
        (false, days) => ok(&Retired {
            path: path.to_string(),
            pending_until: broker.retire(&request, &path, days).await?,
        }),
    }
}
