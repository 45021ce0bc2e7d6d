use strongroom_api::auth::{
    AccessToken, BrowserStarted, CertificateLogin, ChangePassword, ClientLogin, CodeLogin, DeviceLogin, DeviceStarted,
    LoginStarted, MethodLogin, PasswordLogin, StartLogin, TokenLogin, WhoAmI,
};
use strongroom_broker::{LoggedIn, Proof};

use crate::answer::{Answer, no_content, ok};
use crate::body::Json;
use crate::call::{Call, Named};

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

pub(crate) async fn start(
    Call { broker, request }: Call,
    Named(method): Named,
    Json(body): Json<StartLogin>,
) -> Answer {
    let room = broker.room_named(request.namespace.as_ref()).await?;
    let Some(redirect_uri) = body.redirect_uri else {
        let started = room.start_device_login(&request, method.as_str()).await?;
        return ok(&LoginStarted::Device(DeviceStarted {
            device_code: started.device_code,
            user_code: started.user_code,
            verification_uri: started.verification_uri,
            verification_uri_complete: started.verification_uri_complete,
            expires_in: started.expires_in,
            interval: started.interval,
        }));
    };
    let started = room.start_login(&request, method.as_str(), &redirect_uri).await?;
    ok(&LoginStarted::Browser(BrowserStarted {
        authorization_url: started.authorization_url,
        state: started.state,
        expires_in: started.expires_in,
    }))
}

pub(crate) async fn login(
    Call { broker, request }: Call,
    Named(method): Named,
    Json(body): Json<MethodLogin>,
) -> Answer {
    let room = broker.room_named(request.namespace.as_ref()).await?;
    let proof = match body {
        MethodLogin::Token(TokenLogin { role, jwt }) => Proof::Token { role, jwt },
        MethodLogin::Certificate(CertificateLogin { role }) => Proof::Certificate { role },
        MethodLogin::Code(CodeLogin { state, code }) => Proof::Code { state, code },
        MethodLogin::Device(DeviceLogin { device_code }) => Proof::Device { code: device_code },
    };
    ok(&shown(room.login(&request, method.as_str(), &proof).await?))
}

pub(crate) async fn change_password(Call { broker, request }: Call, Json(body): Json<ChangePassword>) -> Answer {
    let changed = broker.change_password(&request, &body.current_password, &body.password);
    changed.await?;
    no_content()
}

pub(crate) async fn whoami(Call { broker, request }: Call) -> Answer {
    let found = broker.whoami(&request).await?;
    ok(&WhoAmI {
        principal: found.principal,
        kind: found.kind,
        name: found.name,
        root: found.root,
        client_id: found.client.map(|id| id.to_string()),
        role: found.role,
        method: found.method,
        groups: found.groups,
        policies: found.policies,
        expires_at: found.expires_at,
    })
}
