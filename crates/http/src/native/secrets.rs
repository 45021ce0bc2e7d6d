use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::IntoResponse as _;
use http::StatusCode;
use strongroom_api::With;
use strongroom_api::secrets::{About, Deleted, PatchSecret, ReadQuery, WriteSecret, Written};
use strongroom_broker::{PutSecret, SecretValue};
use strongroom_domain::secret::Selector;
use strongroom_domain::{Error, Result};

use crate::App;
use crate::answer::{Answer, created, ok};
use crate::body::Json;
use crate::call::{Asked, Call, Path};

/// A version or a label; neither means `current`.
pub(crate) fn selector(version: Option<i64>, label: Option<String>) -> Result<Selector> {
    match (version, label) {
        (Some(_), Some(_)) => Err(Error::invalid("Give 'version' or 'label', not both.")),
        (Some(version), None) => Ok(Selector::Version(version)),
        (None, Some(label)) => Ok(Selector::Label(label.into())),
        (None, None) => Ok(Selector::default()),
    }
}

pub(crate) fn shown(value: SecretValue) -> Result<With<About>> {
    let about = About {
        path: value.path.to_string(),
        version: value.version,
        id: value.id,
        labels: value.labels,
        created_at: value.created_at,
    };
    With::new(value.payload, about)
}

/// How long a read waits for a newer version, usually and at most.
const WAITS: Duration = Duration::from_secs(30);
pub(crate) const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// How often is looked whether this node is to stop.
const SLICE: Duration = Duration::from_secs(1);

pub(crate) async fn read(
    State(app): State<App>,
    Call { broker, request }: Call,
    Path(path): Path,
    Asked(query): Asked<ReadQuery>,
) -> Answer {
    if let Some(than) = query.wait {
        let within = query
            .timeout
            .map_or(WAITS, |seconds| Duration::from_secs(seconds.into()));
        if query.version.is_some() || query.label.is_some() || within.is_zero() || within > LONGEST_WAIT {
            return Err(
                Error::invalid("'wait' goes with a 'timeout' of 1 to 60 seconds, and with nothing else.").into(),
            );
        }
        let began = Instant::now();
        while !app.draining.is_cancelled() {
            let left = within.saturating_sub(began.elapsed());
            if broker.await_newer(&request, &path, than, left.min(SLICE)).await || left.is_zero() {
                break;
            }
        }
        return match broker.read_newer(&request, &path, than).await? {
            Some(value) => ok(&shown(value)?),
            None => Ok(StatusCode::NOT_MODIFIED.into_response()),
        };
    }
    if query.timeout.is_some() {
        return Err(Error::invalid("'timeout' is for 'wait' alone.").into());
    }
    let value = broker
        .read(&request, &path, &selector(query.version, query.label)?)
        .await?;
    ok(&shown(value)?)
}

pub(crate) async fn write(Call { broker, request }: Call, Path(path): Path, Json(body): Json<WriteSecret>) -> Answer {
    let put = PutSecret {
        path,
        payload: body.payload.try_into()?,
        cas: body.fields.cas,
        id: body.fields.id.or_else(|| request.change_id.clone()),
        labels: body.fields.labels,
        unless_same: false,
    };
    let written = broker.put(&request, put).await?;
    let fresh = written.fresh;
    let answer = wrote(written);
    if fresh { created(&answer) } else { ok(&answer) }
}

fn wrote(written: strongroom_broker::Written) -> Written {
    Written {
        path: written.path,
        version: written.version,
        id: written.id,
        created_at: written.created_at,
    }
}

pub(crate) async fn patch(Call { broker, request }: Call, Path(path): Path, Json(body): Json<PatchSecret>) -> Answer {
    let patch = strongroom_broker::PatchSecret {
        path,
        patch: body.payload.try_into()?,
        cas: body.fields.cas,
    };
    ok(&wrote(broker.patch(&request, patch).await?))
}

pub(crate) async fn delete(Call { broker, request }: Call, Path(path): Path) -> Answer {
    let deleted = broker.delete(&request, &path).await?;
    ok(&Deleted {
        path: path.to_string(),
        version: deleted.version,
    })
}
