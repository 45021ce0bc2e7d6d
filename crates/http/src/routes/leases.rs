//! Lease roles, and leases.

use http::StatusCode;
use serde_json::{Value, json};
use strongroom_api::leases::{EndQuery, For, Lease, LeaseRole, LeasesQuery, NewLease};
use strongroom_api::{Page, PageQuery};
use strongroom_domain::lease::LeaseRoleConfig;

use super::AT;
use crate::native;
use crate::operation::{Operation, delete, get, post, put};

const ROLE: &str = "/api/v1/lease-roles/{name}";
const LEASE: &str = "/api/v1/leases/{lease}";
const REPORTS: (&str, &str) = ("name", "reports");

fn role() -> Value {
    json!({
        "name": "reports", "target": "ledger", "template": "reporting", "ttl": "1h", "max_ttl": "1d",
        "max_leases": 1000, "created_at": AT, "updated_at": AT,
    })
}

pub(crate) fn roles() -> Vec<Operation> {
    vec![
        get("/api/v1/lease-roles", "listLeaseRoles", "List lease roles", native::leases::roles)
            .describe("Needs `list` on `lease`.")
            .guarded()
            .query::<PageQuery>()
            .shows::<Page<LeaseRole>>(StatusCode::OK, "A page, by name.")
            .example("all", StatusCode::OK, &[("limit", "100")])
            .shown(json!({ "items": [role()] })),
        get(ROLE, "readLeaseRole", "Read a lease role", native::leases::read_role)
            .describe("Needs `read` on `lease/NAME`.")
            .guarded()
            .finds()
            .shows::<LeaseRole>(StatusCode::OK, "The role.")
            .example("reports", StatusCode::OK, &[REPORTS])
            .shown(role()),
        put(ROLE, "writeLeaseRole", "Write a lease role", native::leases::write_role)
            .describe(
                "Whose rights the users of its leases get, and for how long. All of it is replaced. Needs `create` or `update` \
                 on `lease/NAME`, and `rotate` on `target/NAME`.",
            )
            .guarded()
            .changes()
            .takes::<LeaseRoleConfig>()
            .shows::<LeaseRole>(StatusCode::OK, "The role.")
            .example("reports", StatusCode::OK, &[REPORTS])
            .sent(json!({ "target": "ledger", "template": "reporting" }))
            .shown(role()),
        delete(ROLE, "deleteLeaseRole", "Delete a lease role", native::leases::delete_role)
            .describe("Its leases last as long as they would. Needs `delete` on `lease/NAME`.")
            .guarded()
            .finds()
            .changes()
            .ends("It is gone.")
            .example("reports", StatusCode::NO_CONTENT, &[REPORTS]),
    ]
}

pub(crate) fn leases() -> Vec<Operation> {
    vec![
        get("/api/v1/leases", "listLeases", "List the leases there are", native::leases::list)
            .describe(
                "Of the roles whose leases the caller may list: needs `list` on `lease/NAME`. Those of one role stand together, in \
                 the order of their ids. No password is shown.",
            )
            .guarded()
            .query::<LeasesQuery>()
            .shows::<Page<Lease>>(StatusCode::OK, "A page; a busy store may give less than was asked for, and where to go on.")
            .example("all", StatusCode::OK, &[("limit", "100")])
            .shown(json!({ "items": [] })),
        post(LEASE, "createLease", "Make a credential on demand", native::leases::create)
            .describe(
                "`lease` is the name of a lease role here. A user is made at its target, which is gone when the lease is over. \
                 A repeat makes another. Needs `create` on `lease/NAME`.",
            )
            .guarded()
            .finds()
            .changes()
            .takes::<For>()
            .shows::<NewLease>(StatusCode::CREATED, "What the user logs in with; it is told once."),
        get(LEASE, "readLease", "Read how a lease stands", native::leases::read)
            .describe("By its id. One's own, or with `read` on `lease/NAME` of its role.")
            .oneself()
            .guarded()
            .finds()
            .shows::<Lease>(StatusCode::OK, "The lease, without a password."),
        post(
            "/api/v1/leases/{lease}/renew",
            "renewLease",
            "Make a lease last longer",
            native::leases::renew,
        )
        .describe(
            "From now on for as long as asked, up to the role's `max_ttl` from its beginning. One's own, or with `update` on \
             `lease/NAME` of its role.",
        )
        .oneself()
            .guarded()
        .finds()
        .changes()
        .takes::<For>()
        .shows::<Lease>(StatusCode::OK, "The lease."),
        delete(LEASE, "revokeLease", "End a lease", native::leases::revoke)
            .describe(
                "Its sessions are ended and its user is removed. One's own, or with `delete` on `lease/NAME` of its role.",
            )
            .query::<EndQuery>()
            .oneself()
            .guarded()
            .finds()
            .changes()
            .shows::<Lease>(StatusCode::ACCEPTED, "It has ended, and its user is still being removed.")
            .ends("It is gone."),
    ]
}
