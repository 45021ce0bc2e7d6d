//! Which leases there are, as far as whoever asks may know.

use serde_json::{Value, json};

use super::counting::{Counting, lease};
use super::id;
use crate::harness::{Api, On};
use crate::rotation::stage;

async fn page(api: &Api, query: &str) -> Value {
    let (status, page) = api.get(&format!("leases{query}")).await;
    assert_eq!(status, 200, "{query}: {page}");
    page
}

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap().iter();
    items.map(|item| id(item).to_owned()).collect()
}

/// All of them, by pages of that size.
async fn all(api: &Api, query: &str, limit: usize) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = page(api, &format!("?limit={limit}{query}{cursor}")).await;
        assert!(page["items"].as_array().unwrap().len() <= limit, "{page}");
        found.extend(ids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

async fn whoever_may_list_a_roles_leases_sees_them(on: On) {
    let stage = stage(on).await;
    let (root, counting) = (&stage.root, Counting::start().await);
    counting.is_target(root, 100).await;
    assert_eq!(page(root, "").await, json!({ "items": [] }));
    let mut made = Vec::new();
    for role in ["report", "audit", "web"] {
        let config = json!({ "target": "counting", "template": "reporting", "max_leases": 100 });
        root.written(&format!("lease-roles/{role}"), config).await;
        for _ in 0..4 {
            let (status, lease) = root.post(&format!("leases/{role}"), json!({})).await;
            assert_eq!(status, 201, "{lease}");
            made.push((role, lease));
        }
    }
    let of = |role: &str| {
        let mine = made.iter().filter(|(of, _)| role.is_empty() || *of == role);
        let mut ids: Vec<String> = mine.map(|(_, lease)| id(lease).to_owned()).collect();
        ids.sort();
        ids
    };
    for limit in [1, 2, 3, 5, 12, 100] {
        assert_eq!(all(root, "", limit).await, of(""), "by {limit}");
        for role in ["report", "audit", "web", "nobody"] {
            assert_eq!(
                all(root, &format!("&role={role}"), limit).await,
                of(role),
                "{role} by {limit}"
            );
        }
    }
    let whole = page(root, "").await;
    let (_, lease) = &made[0];
    let shown = whole["items"].as_array().unwrap().iter();
    let shown = shown
        .clone()
        .find(|item| item["lease_id"] == lease["lease_id"])
        .unwrap();
    assert_eq!(*shown, root.get(&format!("leases/{}", id(lease))).await.1);
    assert!(
        made.iter()
            .all(|(_, lease)| !whole.to_string().contains(lease["password"].as_str().unwrap()))
    );

    // Where `list` holds, a role at a time; what is denied is passed over wherever it stands.
    let who = async |name: &str, rules: Value| root.with_token(root.workload(name, rules).await);
    let list = |path: &str| json!({ "path": path, "capabilities": ["list"] });
    let one = who("one", json!([list("lease/audit")])).await;
    let most = who(
        "most",
        json!([list("lease/*"), { "path": "lease/web", "capabilities": ["deny"] }]),
    )
    .await;
    let holder = who(
        "holder",
        json!([{ "path": "lease/report", "capabilities": ["create", "read"] }]),
    )
    .await;
    // Whichever stands first: a page that is full is followed by one, and not by a denial.
    for role in ["report", "audit", "web"] {
        let only = who(&format!("only-{role}"), json!([list(&format!("lease/{role}"))])).await;
        for limit in [2, 4] {
            assert_eq!(all(&only, "", limit).await, of(role), "{role} by {limit}");
        }
    }
    for limit in [1, 3, 100] {
        assert_eq!(all(&one, "", limit).await, of("audit"), "by {limit}");
        let mut both = [of("report"), of("audit")].concat();
        both.sort();
        assert_eq!(all(&most, "", limit).await, both, "by {limit}");
    }
    for (api, query) in [
        (&one, "?role=web"),
        (&most, "?role=web"),
        (&holder, ""),
        (&holder, "?role=report"),
    ] {
        let (status, refused) = api.get(&format!("leases{query}")).await;
        assert_eq!(
            (status, &refused["code"]),
            (403, &json!("permission_denied")),
            "{query}"
        );
    }

    // A lease outlives its role, under its name.
    assert_eq!(root.delete("lease-roles/audit").await.0, 204);
    assert_eq!(all(root, "&role=audit", 3).await, of("audit"));
    assert_eq!(root.delete(&format!("leases/{}", id(lease))).await.0, 204);
    assert_eq!(all(root, "", 5).await.len(), made.len() - 1);

    let (code, table) = root.typed(&["lease", "list", "--role", "web"]);
    assert_eq!(code, 0, "{table}");
    assert!(
        of("web").iter().all(|id| table.contains(id)) && !table.contains(&of("audit")[0]),
        "{table}"
    );
}

async fn nobody_elses_namespace_is_shown(on: On) {
    let stage = stage(on).await;
    let (root, counting) = (&stage.root, Counting::start().await);
    counting.is_target(root, 100).await;
    lease(root, 3600).await;
    assert_eq!(root.put("namespaces/team", Value::Null).await.0, 200);
    let (status, token) = root.post("namespaces/team/token", Value::Null).await;
    assert_eq!(status, 201, "{token}");
    let team = root.with_token(token["token"].as_str().unwrap());
    assert_eq!(page(&team, "?role=report").await, json!({ "items": [] }));
    let (_, page) = root.get("leases?limit=1").await;
    assert!(page.get("next_cursor").is_none(), "there is one: {page}");
}

on_both_stores!(
    whoever_may_list_a_roles_leases_sees_them,
    nobody_elses_namespace_is_shown
);
