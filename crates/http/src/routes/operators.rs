//! Operators, their groups, and what everybody may ask of oneself.

use http::StatusCode;
use serde_json::json;
use strongroom_api::auth::{AccessToken, BeginTotp, ChangePassword, ConfirmTotp, NewTotp, PasswordLogin, WhoAmI};
use strongroom_api::groups::{Group, WriteGroup};
use strongroom_api::operators::{Operator, ResetPassword, WriteOperator};
use strongroom_api::{Page, PageQuery};

use super::{ACCESSOR, AT, PRINCIPAL};
use crate::native;
use crate::operation::{Operation, delete, get, post, put};

const OPERATOR: (&str, &str) = ("name", "ada");
const GROUP: (&str, &str) = ("name", "on-call");
const PASSWORD: &str = "correct horse battery staple";

pub(crate) fn operators() -> Vec<Operation> {
    let operator = json!({
        "name": "ada", "principal": PRINCIPAL, "policies": ["reader"], "groups": ["on-call"], "totp": false, "created_at": AT,
        "updated_at": AT,
    });
    let path = "/api/v1/operators/{name}";
    vec![
        get(
            "/api/v1/operators",
            "listOperators",
            "List operators",
            native::operators::list,
        )
        .describe("Needs `list` on `sys/operators`.")
        .guarded()
        .query::<PageQuery>()
        .shows::<Page<Operator>>(StatusCode::OK, "A page, by name.")
        .example("all", StatusCode::OK, &[("limit", "100")])
        .shown(json!({ "items": [operator] })),
        get(path, "readOperator", "Read an operator", native::operators::read)
            .describe("Needs `read` on `sys/operators/NAME`.")
            .guarded()
            .finds()
            .shows::<Operator>(StatusCode::OK, "The operator, without its password.")
            .example("operator", StatusCode::OK, &[OPERATOR])
            .shown(operator.clone()),
        put(path, "writeOperator", "Write an operator", native::operators::write)
            .describe(
                "The policies and groups it names must be there; a new one has no password yet. \
                 Needs `create` or `update` on `sys/operators/NAME`.",
            )
            .guarded()
            .changes()
            .takes::<WriteOperator>()
            .shows::<Operator>(StatusCode::OK, "The operator.")
            .example("operator", StatusCode::OK, &[OPERATOR])
            .sent(json!({ "policies": ["reader"], "groups": ["on-call"] }))
            .shown(operator),
        delete(path, "deleteOperator", "Delete an operator", native::operators::delete)
            .describe("Its tokens end with it. Needs `delete` on `sys/operators/NAME`.")
            .guarded()
            .finds()
            .changes()
            .ends("It is gone.")
            .example("operator", StatusCode::NO_CONTENT, &[OPERATOR]),
        put(
            "/api/v1/operators/{name}/password",
            "resetPassword",
            "Give an operator another password",
            native::operators::reset_password,
        )
        .describe("Its tokens end. Needs `manage` on `sys/operators/NAME`, and not the old password.")
        .guarded()
        .finds()
        .changes()
        .takes::<ResetPassword>()
        .ends("It logs in with this one from now on.")
        .example("password", StatusCode::NO_CONTENT, &[OPERATOR])
        .sent(json!({ "password": PASSWORD })),
    ]
}

pub(crate) fn groups() -> Vec<Operation> {
    let group = json!({ "name": "on-call", "policies": ["operator"], "created_at": AT, "updated_at": AT });
    let path = "/api/v1/groups/{name}";
    vec![
        get("/api/v1/groups", "listGroups", "List groups", native::groups::list)
            .describe("Needs `list` on `sys/groups`.")
            .guarded()
            .query::<PageQuery>()
            .shows::<Page<Group>>(StatusCode::OK, "A page, by name.")
            .example("all", StatusCode::OK, &[("limit", "100")])
            .shown(json!({ "items": [group] })),
        get(path, "readGroup", "Read a group", native::groups::read)
            .describe("Who is in it stands with each operator. Needs `read` on `sys/groups/NAME`.")
            .guarded()
            .finds()
            .shows::<Group>(StatusCode::OK, "The group.")
            .example("group", StatusCode::OK, &[GROUP])
            .shown(group.clone()),
        put(path, "writeGroup", "Write a group", native::groups::write)
            .describe("The policies it names must be there. Needs `create` or `update` on `sys/groups/NAME`.")
            .guarded()
            .changes()
            .takes::<WriteGroup>()
            .shows::<Group>(StatusCode::OK, "The group.")
            .example("group", StatusCode::OK, &[GROUP])
            .sent(json!({ "policies": ["operator"] }))
            .shown(group),
        delete(path, "deleteGroup", "Delete a group", native::groups::delete)
            .describe("Operators that name it lose what it granted. Needs `delete` on `sys/groups/NAME`.")
            .guarded()
            .finds()
            .changes()
            .ends("It is gone.")
            .example("group", StatusCode::NO_CONTENT, &[GROUP]),
    ]
}

pub(crate) fn oneself() -> Vec<Operation> {
    vec![
        post(
            "/api/v1/auth/password/login",
            "loginOperator",
            "Log in with a username and a password",
            native::auth::login_password,
        )
        .open()
        .refuses(&[StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED])
        .takes::<PasswordLogin>()
        .shows::<AccessToken>(
            StatusCode::OK,
            "A service token, good for an hour and renewable for twelve.",
        )
        .example("login", StatusCode::OK, &[])
        .sent(json!({ "username": "ada", "password": PASSWORD }))
        .shown(json!({
            "access_token": "srs_c2VjcmV0", "token_type": "Bearer", "expires_in": 3600, "accessor": ACCESSOR,
            "renewable_until": AT,
        })),
        put(
            "/api/v1/auth/password",
            "changePassword",
            "Change one's own password",
            native::auth::change_password,
        )
        .oneself()
        .describe("For an operator, whose tokens end with the password that they were had for.")
        .guarded()
        .changes()
        .takes::<ChangePassword>()
        .ends("It logs in with the new one from now on.")
        .example("own", StatusCode::NO_CONTENT, &[])
        .sent(json!({ "current_password": PASSWORD, "password": "another horse, another staple" })),
        get("/api/v1/auth/whoami", "whoAmI", "Who one is", native::auth::whoami)
            .oneself()
            .describe("Needs a token and no capability.")
            .refuses(&[StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED])
            .shows::<WhoAmI>(StatusCode::OK, "Whom the token stands for, and what it may do.")
            .example("root", StatusCode::OK, &[])
            .shown(json!({
                "principal": PRINCIPAL, "kind": "operator", "name": "root", "root": true, "groups": [], "policies": [],
            })),
    ]
}

pub(crate) fn one_time_codes() -> Vec<Operation> {
    vec![
        post(
            "/api/v1/auth/password/totp",
            "beginTotp",
            "Begin one-time codes",
            native::operators::begin_totp,
        )
        .oneself()
        .describe("RFC 6238, of six digits every 30 seconds. Logins go on as before until a code was confirmed.")
        .guarded()
        .changes()
        .takes::<BeginTotp>()
        .shows::<NewTotp>(StatusCode::CREATED, "The secret, shown this once.")
        .example("own", StatusCode::CREATED, &[])
        .sent(json!({ "current_password": PASSWORD }))
        .shown(json!({
            "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
            "uri": "otpauth://totp/Strongroom:ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Strongroom",
        })),
        post(
            "/api/v1/auth/password/totp/confirm",
            "confirmTotp",
            "Ask for one-time codes from now on",
            native::operators::confirm_totp,
        )
        .oneself()
        .describe("By a first code of the new secret. Each code is good once.")
        .guarded()
        .changes()
        .takes::<ConfirmTotp>()
        .ends("A login needs a code.")
        .example("own", StatusCode::NO_CONTENT, &[])
        .sent(json!({ "code": "492039" })),
        delete(
            "/api/v1/operators/{name}/totp",
            "removeTotp",
            "Take an operator's one-time codes away",
            native::operators::remove_totp,
        )
        .describe("For who lost what makes them. Needs `manage` on `sys/operators/NAME`.")
        .guarded()
        .finds()
        .changes()
        .ends("It logs in by its password alone.")
        .example("lost", StatusCode::NO_CONTENT, &[OPERATOR]),
    ]
}
