//! What an operator's access rests on: a change to any of it is seen by the next request, on every node.

use serde_json::{Value, json};

use super::PASSWORD;
use crate::harness::{Api, On, Store};

/// Nothing but the fence tells a node of another's changes.
const ALONE: &[(&str, &str)] = &[("STRONGROOM_CACHE_POLL_MS", "0")];

struct Case {
    what: &'static str,
    /// Method, path behind `/api/v1/` and body.
    change: (&'static str, &'static str, Option<Value>),
    /// What the operator's read is answered with from then on.
    status: u16,
}

fn cases() -> Vec<Case> {
    let case = |what, change, status| Case { what, change, status };
    let rules = |capability| Some(json!({ "rules": [{ "path": "secret/*", "capabilities": [capability] }] }));
    vec![
        case(
            "a policy that its group names denies",
            ("PUT", "policies/reads", rules("deny")),
            403,
        ),
        case("and grants again", ("PUT", "policies/reads", rules("read")), 200),
        case(
            "its group loses the policy",
            ("PUT", "groups/team", Some(json!({ "policies": [] }))),
            403,
        ),
        case(
            "and has it again",
            ("PUT", "groups/team", Some(json!({ "policies": ["reads"] }))),
            200,
        ),
        case("it leaves the group", ("PUT", "operators/ada", Some(json!({}))), 403),
        case(
            "and comes back",
            ("PUT", "operators/ada", Some(json!({ "groups": ["team"] }))),
            200,
        ),
        case("the group is deleted", ("DELETE", "groups/team", None), 403),
        case(
            "and made again",
            ("PUT", "groups/team", Some(json!({ "policies": ["reads"] }))),
            200,
        ),
        case(
            "a built-in policy is enough",
            ("PUT", "operators/ada", Some(json!({ "policies": ["reader"] }))),
            200,
        ),
        case(
            "its password is reset, to the same",
            ("PUT", "operators/ada/password", Some(json!({ "password": PASSWORD }))),
            401,
        ),
        case("it is deleted", ("DELETE", "operators/ada", None), 401),
    ]
}

async fn a_change_is_seen_at_once(on: On) {
    let store = Store::fresh(on);
    let first = store.dev(&[ALONE, &[("STRONGROOM_ISSUER", "http://strongroom.test")]].concat());
    let second = (on == On::Postgres).then(|| store.node("second", ALONE));
    let root = Api::new(&first, store.root_token());
    assert_eq!(root.put("secrets/r/s", json!({ "value": "v" })).await.0, 201);
    let rules = json!({ "rules": [{ "path": "secret/*", "capabilities": ["read"] }] });
    assert_eq!(root.put("policies/reads", rules).await.0, 200);
    assert_eq!(root.put("groups/team", json!({ "policies": ["reads"] })).await.0, 200);
    root.operator("ada", json!({ "groups": ["team"] })).await;
    let there = Api::new(second.as_ref().unwrap_or(&first), store.root_token());
    let mut ada = there.as_operator("ada", PASSWORD).await;
    assert_eq!(ada.get("secrets/r/s").await.0, 200);
    for Case {
        what,
        change: (method, path, body),
        status,
    } in cases()
    {
        // Kept in the cache of the node that is to find out.
        let kept = ada.get("auth/whoami").await;
        assert_eq!(kept.0, 200, "before {what}: {}", kept.1);
        let changed = root.call(method, path, body).await.unwrap();
        assert!(changed.0 < 300, "{what}: {}", changed.1);
        let answer = ada.get("secrets/r/s").await;
        assert_eq!(answer.0, status, "{what}: {}", answer.1);
        if status == 401 && method == "PUT" {
            ada = there.as_operator("ada", PASSWORD).await;
            assert_eq!(ada.get("secrets/r/s").await.0, 200, "after {what}");
        }
    }
    // Another one of the same name is another operator.
    root.operator("ada", json!({ "policies": ["reader"] })).await;
    assert_eq!(ada.get("secrets/r/s").await.0, 401);
    assert_eq!(there.as_operator("ada", PASSWORD).await.get("secrets/r/s").await.0, 200);
    drop(second);
    first.terminate();
}

on_both_stores!(a_change_is_seen_at_once);
