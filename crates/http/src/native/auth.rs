use axum::extract::State;
use strongroom_api::auth::{AccessToken, ClientLogin};

use crate::App;
use crate::answer::{Answer, ok};
use crate::body::Json;
use crate::call::Call;

pub(crate) async fn login(State(app): State<App>, Call(request): Call, Json(body): Json<ClientLogin>) -> Answer {
    let token = app
        .broker
        .login_client(&request, &body.client_id, &body.client_secret)
        .await?;
    ok(&AccessToken {
        access_token: token.access_token,
        token_type: "Bearer".into(),
        expires_in: token.expires_in,
    })
}
