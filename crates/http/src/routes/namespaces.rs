//! Namespaces.

use http::StatusCode;
use serde_json::json;
use strongroom_api::namespaces::{DeleteQuery, Namespace, SetupToken};
use strongroom_api::{Page, PageQuery};

use super::{ACCESSOR, AT, LATER, NAMESPACE_ID};
use crate::native::namespaces;
use crate::operation::{Operation, delete, get, post, put};

const NAME: (&str, &str) = ("name", "team-a");

pub(crate) fn namespaces() -> Vec<Operation> {
    let namespace = json!({ "name": "team-a", "id": NAMESPACE_ID, "created_at": AT });
    let path = "/api/v1/namespaces/{name}";
    vec![
        get("/api/v1/namespaces", "listNamespaces", "List namespaces", namespaces::list)
            .describe("Needs `list` on `sys/namespaces/`, in `root`.")
            .guarded()
            .query::<PageQuery>()
            .shows::<Page<Namespace>>(StatusCode::OK, "A page, by name.")
            .example("all", StatusCode::OK, &[("cursor", "root"), ("limit", "100")])
            .shown(json!({ "items": [namespace] })),
        get(path, "readNamespace", "Read a namespace", namespaces::read)
            .describe("Needs `read` on `sys/namespaces/NAME`, in `root`.")
            .guarded()
            .finds()
            .shows::<Namespace>(StatusCode::OK, "The namespace.")
            .example("one", StatusCode::OK, &[NAME])
            .shown(namespace.clone()),
        put(path, "createNamespace", "Make a namespace", namespaces::write)
            .describe(
                "With a data key of its own. One that is there stays as it is. Needs `create` on `sys/namespaces/NAME`, in \
                 `root`.",
            )
            .guarded()
            .changes()
            .shows::<Namespace>(StatusCode::OK, "The namespace.")
            .example("one", StatusCode::OK, &[NAME])
            .shown(namespace),
        delete(path, "deleteNamespace", "Delete a namespace", namespaces::delete)
            .describe(
                "Nothing of it is shown from then on, and all of it is removed behind the answer, its leases first; the log \
                 stays. Needs `delete` on `sys/namespaces/NAME`, in `root`.",
            )
            .guarded()
            .query::<DeleteQuery>()
            .finds()
            .changes()
            .ends("It is gone.")
            .example("one", StatusCode::NO_CONTENT, &[NAME]),
        post(
            "/api/v1/namespaces/{name}/token",
            "createNamespaceToken",
            "A token to set a namespace up with",
            namespaces::token,
        )
        .describe(
            "It may do everything within the namespace, for an hour. Needs `sudo` on `sys/namespaces/NAME`, in `root`.",
        )
        .guarded()
        .finds()
        .changes()
        .shows::<SetupToken>(StatusCode::CREATED, "The token, shown this once.")
        .example("one", StatusCode::CREATED, &[NAME])
        .shown(json!({ "token": "srs_c2VjcmV0", "accessor": ACCESSOR, "expires_at": LATER })),
    ]
}
