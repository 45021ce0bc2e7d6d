//! What the control socket alone serves.

use axum::extract::State;
use strongroom_api::control::{Extent, Recovered};

use crate::App;
use crate::answer::{Answer, created, ok};
use crate::call::Call;

pub(crate) async fn extent(State(app): State<App>) -> Answer {
    let extent = app.broker.extent().await?;
    ok(&Extent {
        bytes: extent.bytes,
        since: extent.since,
    })
}

pub(crate) async fn recover_admin(State(app): State<App>, Call(request): Call) -> Answer {
    let recovered = app.broker.recover_admin(&request).await?;
    created(&Recovered {
        token: recovered.token,
        expires_at: recovered.expires_at,
    })
}
