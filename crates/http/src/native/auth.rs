use strongroom_api::auth::{AccessToken, ChangePassword, ClientLogin, PasswordLogin, WhoAmI};
use strongroom_broker::LoggedIn;

use crate::answer::{Answer, no_content, ok};
use crate::body::Json;
use crate::call::Call;

fn shown(token: LoggedIn) -> AccessToken {
    AccessToken {
        access_token: token.token,
        token_type: "Bearer".into(),
        expires_in: token.expires_in,
        accessor: token.accessor,
        renewable_until: token.renewable_until,
    }
}

pub(crate) async fn login_client(Call { broker, request }: Call, Json(body): Json<ClientLogin>) -> Answer {
    let room = broker.room_named(request.namespace.as_ref()).await?;
    let token = room.login_client(&request, &body.client_id, &body.client_secret);
    ok(&shown(token.await?))
}

pub(crate) async fn login_password(Call { broker, request }: Call, Json(body): Json<PasswordLogin>) -> Answer {
    let room = broker.room_named(request.namespace.as_ref()).await?;
    let token = room.login_password(&request, &body.username, &body.password, body.totp.as_deref());
    ok(&shown(token.await?))
}

pub(crate) async fn change_password(Call { broker, request }: Call, Json(body): Json<ChangePassword>) -> Answer {
    let changed = broker.change_password(&request, &body.current_password, &body.password);
    changed.await?;
    no_content()
}

pub(crate) async fn whoami(Call { broker, request }: Call) -> Answer {
    let found = broker.whoami(&request).await?;
    let (client_id, role) = found.client.map(|(id, role)| (id.to_string(), role)).unzip();
    ok(&WhoAmI {
        principal: found.principal,
        kind: found.kind,
        name: found.name,
        root: found.root,
        client_id,
        role,
        groups: found.groups,
        policies: found.policies,
        expires_at: found.expires_at,
    })
}
