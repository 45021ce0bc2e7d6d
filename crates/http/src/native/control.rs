//! What the control socket alone serves.

use std::io;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use strongroom_api::control::{AcceptRestore, BackupKept, CheckKey, KeyChecked, LiftHold, Recovered, RestoreAccepted};
use strongroom_broker::{Counts, Stamp};
use strongroom_domain::{Error, Result, Revision};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::answer::{Answer, created, no_content, ok};
use crate::body::Json;
use crate::call::Call;

/// Parts of a backup that wait for whoever takes it.
const AHEAD: usize = 2;

pub(crate) async fn check_key(Call { broker, request }: Call, Json(body): Json<CheckKey>) -> Answer {
    ok(&KeyChecked {
        opens: broker.opens(&request, body.method, &body.key).await?,
    })
}

pub(crate) async fn recover_admin(Call { broker, request }: Call) -> Answer {
    let recovered = broker.recover_admin(&request).await?;
    created(&Recovered {
        token: recovered.token,
        expires_at: recovered.expires_at,
    })
}

pub(crate) async fn accept_restore(Call { broker, request }: Call, Json(body): Json<AcceptRestore>) -> Answer {
    let accepted = broker.accept_restore(&request, &body.reason).await?;
    ok(&RestoreAccepted {
        manifest: accepted.number,
        rows: accepted.rows,
        broken: accepted.broken,
    })
}

pub(crate) async fn lift_hold(Call { broker, request }: Call, Json(body): Json<LiftHold>) -> Answer {
    broker.lift_hold(&request, &body.reason).await?;
    no_content()
}

/// A backup that is being made, from its second part on.
struct Backup {
    parts: mpsc::Receiver<Vec<u8>>,
    work: JoinHandle<Result<Counts>>,
}

impl Backup {
    /// What follows; an error breaks the answer off, so that nobody takes it for a whole one.
    async fn next(mut self) -> Option<(io::Result<Vec<u8>>, Option<Self>)> {
        if let Some(part) = self.parts.recv().await {
            return Some((Ok(part), Some(self)));
        }
        match self.end().await {
            Ok(_) => None,
            Err(error) => {
                tracing::error!(?error, "a backup was broken off");
                Some((Err(io::Error::other("broken off")), None))
            }
        }
    }

    async fn end(self) -> Result<Counts> {
        self.work.await.map_err(Error::internal)?
    }
}

/// Bytes as they are made. What fails before the first of them is an answer like any other.
pub(crate) async fn backup(Call { broker, request }: Call) -> Answer {
    let (out, mut parts) = mpsc::channel(AHEAD);
    let broker = broker.clone();
    let work = tokio::spawn(async move { broker.backup(&request, out).await });
    let first = parts.recv().await;
    let rest = Backup { parts, work };
    let Some(first) = first else {
        rest.end().await?;
        return Err(Error::internal("a backup without a part").into());
    };
    let rest = stream::unfold(Some(rest), |rest| async { rest?.next().await });
    let all = stream::once(std::future::ready(Ok(first))).chain(rest);
    Ok(Response::new(Body::from_stream(all)).into_response())
}

pub(crate) async fn backup_kept(Call { broker, request }: Call, Json(kept): Json<BackupKept>) -> Answer {
    let stamp = Stamp {
        id: kept.id,
        at: kept.at,
        revision: Revision(kept.revision),
    };
    broker.backup_kept(&request, &stamp).await?;
    no_content()
}
