use axum::extract::State;
use strongroom_api::metadata::{Describe, Described, Patch};
use strongroom_broker::MetadataView;
use strongroom_domain::Error;

use crate::App;
use crate::answer::{Answer, ok};
use crate::body::Json;
use crate::call::{Call, Path};

fn shown(view: MetadataView) -> Described {
    Described {
        path: view.path,
        description: view.metadata.description,
        secret_type: view.metadata.secret_type,
        owner: view.metadata.owner,
        tags: view.metadata.tags,
        current_version: view.current_version,
        created_at: view.created_at,
        updated_at: view.updated_at,
    }
}

pub(crate) async fn read(State(app): State<App>, Call(request): Call, Path(path): Path) -> Answer {
    ok(&shown(app.broker.metadata(&request, &path).await?))
}

pub(crate) async fn replace(
    State(app): State<App>,
    Call(request): Call,
    Path(path): Path,
    Json(body): Json<Describe>,
) -> Answer {
    ok(&shown(app.broker.put_metadata(&request, &path, &body.into()).await?))
}

pub(crate) async fn patch(
    State(app): State<App>,
    Call(request): Call,
    Path(path): Path,
    Json(body): Json<Patch>,
) -> Answer {
    let fingerprint = serde_json::to_vec(&body).map_err(Error::internal)?;
    let patch = |metadata: &mut _| body.clone().apply(metadata);
    ok(&shown(
        app.broker.patch_metadata(&request, &path, &fingerprint, patch).await?,
    ))
}
