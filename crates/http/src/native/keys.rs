use axum::extract::State;
use strongroom_api::keys::Rotated;

use crate::App;
use crate::answer::{Answer, ok};
use crate::call::Call;

pub(crate) async fn rotate_data(State(app): State<App>, Call(request): Call) -> Answer {
    ok(&Rotated {
        epoch: app.broker.rotate_data_key(&request).await?,
    })
}
