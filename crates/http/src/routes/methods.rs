//! Login methods, and the logins of whom others vouch for.

use http::StatusCode;
use serde_json::{Value, json};
use strongroom_api::auth::{AccessToken, LoginStarted, MethodLogin, StartLogin};
use strongroom_api::methods::{Method, WriteMethod};
use strongroom_api::{Page, PageQuery};

use super::{ACCESSOR, AT};
use crate::native;
use crate::operation::{Operation, delete, get, post, put};

const METHOD: (&str, &str) = ("name", "ci");
const PEOPLE: (&str, &str) = ("name", "company");
const JWT: &str = "eyJhbGciOiJFZERTQSJ9.e30.c2ln";
const STATE: &str = "AAAAAAAAAAcB0yQ";

pub(crate) fn methods() -> Vec<Operation> {
    let config = json!({
        "type": "jwt", "issuer": "https://ci.example", "audiences": ["https://strongroom.example"],
        "keys": { "jwks": "{\"keys\":[]}" },
    });
    let people = json!({
        "type": "oidc", "issuer": "https://login.example", "client_id": "strongroom", "device_code": true,
    });
    let shown = |name: &str, config: &Value| {
        let about = json!({ "name": name, "built_in": false, "has_secret": false, "created_at": AT, "updated_at": AT });
        let (about, config) = (about.as_object().cloned(), config.as_object().cloned());
        Value::Object(about.into_iter().chain(config).flatten().collect())
    };
    let method = shown("ci", &config);
    let path = "/api/v1/methods/{name}";
    vec![
        get("/api/v1/methods", "listMethods", "List login methods", native::methods::list)
            .describe("Needs `list` on `sys/methods`.")
            .guarded()
            .query::<PageQuery>()
            .shows::<Page<Method>>(StatusCode::OK, "A page, by name.")
            .example("all", StatusCode::OK, &[("limit", "100")])
            .shown(json!({ "items": [method] })),
        get(path, "readMethod", "Read a login method", native::methods::read)
            .describe("Needs `read` on `sys/methods/NAME`.")
            .guarded()
            .finds()
            .shows::<Method>(StatusCode::OK, "The method, without its secret.")
            .example("method", StatusCode::OK, &[METHOD])
            .shown(method.clone()),
        put(path, "writeMethod", "Write a login method", native::methods::write)
            .describe(
                "Whom to believe, by the type's fields. All of it is replaced; another description ends the tokens that \
                 were had by the one before. One that is built in cannot be written. \
                 Needs `create` or `update` on `sys/methods/NAME`.",
            )
            .guarded()
            .changes()
            .takes::<WriteMethod>()
            .shows::<Method>(StatusCode::OK, "The method, without its secret.")
            .example("method", StatusCode::OK, &[METHOD])
            .sent(config)
            .shown(method)
            .example("people", StatusCode::OK, &[PEOPLE])
            .shown(shown("company", &people))
            .sent(people),
        delete(path, "deleteMethod", "Delete a login method", native::methods::delete)
            .describe("The tokens that were had by it end. Needs `delete` on `sys/methods/NAME`.")
            .guarded()
            .finds()
            .changes()
            .ends("It is gone.")
            .example("method", StatusCode::NO_CONTENT, &[METHOD]),
    ]
}

pub(crate) fn logins() -> Vec<Operation> {
    vec![
        post(
            "/api/v1/auth/{method}/start",
            "startLogin",
            "Begin a person's login, in a browser or on another device",
            native::auth::start,
        )
        .describe("For a method of type `oidc`. Nothing is kept of it here: the state, or the device code, carries it.")
        .open()
        .refuses(&[StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED])
        .takes::<StartLogin>()
        .shows::<LoginStarted>(StatusCode::OK, "Where to send the browser, or what to confirm where.")
        .example("start", StatusCode::OK, &[("method", "company")])
        .sent(json!({ "redirect_uri": "http://127.0.0.1:8250/callback" }))
        .shown(json!({
            "authorization_url": "https://login.example/authorize?response_type=code", "state": STATE, "expires_in": 600,
        }))
        .example("device", StatusCode::OK, &[("method", "company")])
        .sent(json!({}))
        .shown(json!({
            "device_code": STATE, "user_code": "WDJB-MJHT", "verification_uri": "https://login.example/device",
            "verification_uri_complete": "https://login.example/device?user_code=WDJB-MJHT", "expires_in": 600, "interval": 5,
        })),
        post(
            "/api/v1/auth/{method}/login",
            "loginByMethod",
            "Log in with what others vouch for",
            native::auth::login,
        )
        .describe(
            "The body is of the method's type. Whatever is wrong with it, the answer is the same; the log says which. \
             A login that is to be confirmed on another device is answered 400 `authorization_pending` until it is.",
        )
        .open()
        .refuses(&[StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED])
        .takes::<MethodLogin>()
        .shows::<AccessToken>(StatusCode::OK, "A signed token for a workload, a renewable one for a person.")
        .example("job", StatusCode::OK, &[("method", "ci")])
        .sent(json!({ "role": "deploy", "jwt": JWT }))
        .shown(json!({
            "access_token": "eyJ0.eyJpc3M.c2ln", "token_type": "Bearer", "expires_in": 300, "accessor": ACCESSOR,
        })),
    ]
}
