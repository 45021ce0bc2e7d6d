//! Workloads and their logins.

use http::StatusCode;
use serde_json::json;
use strongroom_api::auth::{AccessToken, ClientLogin};
use strongroom_api::clients::{Client, CreateClient, Created, SecretAdded};
use strongroom_api::{Page, PageQuery};

use super::{ACCESSOR, AT, CLIENT, CLIENT_SECRET, PRINCIPAL, SECOND_SECRET_ID, SECRET_ID};
use crate::native;
use crate::operation::{Operation, delete, get, post};

const ID: (&str, &str) = ("id", CLIENT);

pub(crate) fn clients() -> Vec<Operation> {
    let client = json!({
        "client_id": CLIENT, "name": "payments-api", "role": "payments", "principal": PRINCIPAL,
        "secrets": [{ "secret_id": SECRET_ID, "created_at": AT }], "created_at": AT,
    });
    vec![
        get("/api/v1/clients", "listClients", "List clients", native::clients::list)
            .describe("Needs `list` on `sys/clients`.")
            .guarded()
            .query::<PageQuery>()
            .shows::<Page<Client>>(StatusCode::OK, "A page, by name.")
            .example("all", StatusCode::OK, &[("limit", "100")])
            .shown(json!({ "items": [client] })),
        post(
            "/api/v1/clients",
            "createClient",
            "Create a client",
            native::clients::create,
        )
        .describe("Its secret is shown here and never again. Needs `create` on `sys/clients/NAME`.")
        .guarded()
        .changes()
        .takes::<CreateClient>()
        .shows::<Created>(StatusCode::CREATED, "The client and its secret.")
        .example("client", StatusCode::CREATED, &[])
        .sent(json!({ "name": "payments-api", "role": "payments" }))
        .shown(json!({
            "client_id": CLIENT, "client_secret": CLIENT_SECRET, "secret_id": SECRET_ID, "name": "payments-api",
            "role": "payments",
        })),
        get(
            "/api/v1/clients/{id}",
            "readClient",
            "Read a client",
            native::clients::read,
        )
        .describe("Needs `read` on `sys/clients/ID`.")
        .guarded()
        .finds()
        .shows::<Client>(StatusCode::OK, "The client, without its secrets.")
        .example("client", StatusCode::OK, &[ID])
        .shown(client.clone()),
        delete(
            "/api/v1/clients/{id}",
            "deleteClient",
            "Delete a client",
            native::clients::delete,
        )
        .describe("Its tokens end with it. Needs `delete` on `sys/clients/ID`.")
        .guarded()
        .finds()
        .changes()
        .ends("It is gone.")
        .example("client", StatusCode::NO_CONTENT, &[ID]),
    ]
}

pub(crate) fn logins() -> Vec<Operation> {
    let secrets = "/api/v1/clients/{id}/secrets";
    let secret = "/api/v1/clients/{id}/secrets/{secret_id}";
    vec![
        post(
            secrets,
            "addClientSecret",
            "Give a client a second secret",
            native::clients::add_secret,
        )
        .describe("It is shown here and never again. A client has at most two. Needs `update` on `sys/clients/ID`.")
        .guarded()
        .finds()
        .changes()
        .shows::<SecretAdded>(StatusCode::CREATED, "The secret.")
        .example("second", StatusCode::CREATED, &[ID])
        .shown(json!({
            "client_id": CLIENT, "secret_id": SECOND_SECRET_ID, "client_secret": "src_another_example",
        })),
        delete(
            secret,
            "deleteClientSecret",
            "Take a secret from a client",
            native::clients::delete_secret,
        )
        .describe("Needs `update` on `sys/clients/ID`.")
        .guarded()
        .finds()
        .changes()
        .ends("It logs in nobody any more.")
        .example("second", StatusCode::NO_CONTENT, &[ID, ("secret_id", SECOND_SECRET_ID)]),
        post(
            "/api/v1/auth/client/login",
            "login",
            "Log in with a client's id and secret",
            native::auth::login_client,
        )
        .open()
        .refuses(&[StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED])
        .takes::<ClientLogin>()
        .shows::<AccessToken>(StatusCode::OK, "A signed token, good for a while.")
        .example("login", StatusCode::OK, &[])
        .sent(json!({ "client_id": CLIENT, "client_secret": CLIENT_SECRET }))
        .shown(json!({
            "access_token": "eyJ0.eyJpc3M.c2ln", "token_type": "Bearer", "expires_in": 300, "accessor": ACCESSOR,
        })),
    ]
}
