//! Rules that name what is written on who asks.

use serde_json::{Value, json};

use super::{Place, ok};
use crate::harness::{Api, On, run};
use crate::operators::PASSWORD;

const TEAM: &str = "secret/{{principal.metadata.team}}/*";

/// Which of the two teams' secrets it may read.
async fn reads(api: &Api) -> [bool; 2] {
    let mut may = [false; 2];
    for (team, may) in ["payments", "ops"].into_iter().zip(&mut may) {
        let (status, answer) = api.get(&format!("secrets/{team}/key")).await;
        assert!(matches!(status, 200 | 403), "{answer}");
        *may = status == 200;
    }
    may
}

async fn a_rule_may_name_metadata(on: On) {
    let Place { server, root, store } = Place::on(on);
    for team in ["payments", "ops"] {
        ok(&root, "PUT", &format!("secrets/{team}/key"), json!({ "value": team })).await;
    }
    let rules = json!([
        { "path": TEAM, "capabilities": ["read"] },
        { "path": "sys/tokens/*", "capabilities": ["create"] },
    ]);
    ok(&root, "PUT", "policies/team", json!({ "rules": rules })).await;
    let of = |team: &str| json!({ "policies": ["team"], "metadata": { "team": team, "floor": "2" } });
    root.operator("ada", of("payments")).await;
    root.operator("eve", json!({ "policies": ["team"] })).await;
    let [ada, eve] = [
        root.as_operator("ada", PASSWORD).await,
        root.as_operator("eve", PASSWORD).await,
    ];
    let child = ok(&ada, "POST", "tokens", json!({ "policies": ["team"], "ttl": 600 })).await;
    let child = root.with_token(child["token"].as_str().unwrap());
    assert_eq!([reads(&ada).await, reads(&child).await], [[true, false]; 2]);
    assert_eq!(reads(&eve).await, [false; 2], "it has no team");
    assert_eq!(
        root.get("operators/ada").await.1["metadata"],
        of("payments")["metadata"]
    );

    // Whoever is asked, the answer is the same.
    let page = root.get("who-can?capability=read&path=payments/key").await.1;
    let items = page["items"].as_array().unwrap().iter();
    let who: Vec<&Value> = items
        .filter(|item| item["root"] != true)
        .map(|item| &item["kind"])
        .collect();
    assert_eq!(who, ["operator", "token"], "ada and her token: {page}");
    let asked = json!({ "capability": "read", "path": "payments/key" });
    for (api, decision) in [(&ada, "allow"), (&eve, "no_grant")] {
        assert_eq!(ok(api, "POST", "explain", asked.clone()).await["decision"], decision);
    }
    let nothing = json!({ "rules": [{ "path": "secret/nothing", "capabilities": ["deny"] }] });
    let tried = ok(&root, "PUT", "policies/team?dry_run=true", nothing).await;
    let lost = tried["changes"].as_array().unwrap().iter();
    let lost: Vec<&Value> = lost
        .filter(|change| change["path"] == "secret/payments/*")
        .map(|change| &change["kind"])
        .collect();
    assert_eq!(lost, ["operator", "token"], "{tried}");

    // What is written counts from then on, and never as more than itself.
    root.written("operators/ada", of("ops")).await;
    assert_eq!([reads(&ada).await, reads(&child).await], [[false, true]; 2]);
    for value in ["*", "+", "payments/+", "{{principal.name}}", ""] {
        root.written("operators/ada", of(value)).await;
        assert_eq!([reads(&ada).await, reads(&child).await], [[false; 2]; 2], "{value:?}");
    }
    root.written("operators/ada", of("ops")).await;
    root.written("operators/ada", json!({ "policies": ["team"] })).await;
    assert_eq!(reads(&ada).await, [false; 2], "what is not named is taken away");
    let long = json!({ "metadata": { "team": "a".repeat(257) } });
    let many: serde_json::Map<String, Value> = (0..17).map(|at| (format!("k{at}"), json!("v"))).collect();
    for bad in [
        long,
        json!({ "metadata": many }),
        json!({ "metadata": { "Team": "a" } }),
    ] {
        assert_eq!(root.put("operators/ada", bad.clone()).await.0, 400, "{bad}");
    }

    // A workload's, by the command line.
    ok(&root, "PUT", "roles/job", json!({ "policies": ["team"] })).await;
    let (address, token) = (server.address(), store.root_token());
    let environment = [
        ("STRONGROOM_ADDR", address.as_str()),
        ("STRONGROOM_TOKEN", token.as_str()),
    ];
    let done = |args: &[&str]| {
        let (code, stdout, stderr) = run(args, &environment, b"");
        assert_eq!(code, 0, "{args:?}: {stderr}");
        String::from_utf8(stdout).unwrap()
    };
    let made = done(&[
        "client",
        "create",
        "runner",
        "--role",
        "job",
        "--metadata",
        "team=payments",
        "-o",
        "json",
    ]);
    let made: Value = serde_json::from_str(&made).unwrap();
    let login = json!({ "client_id": made["client_id"], "client_secret": made["client_secret"] });
    let job = ok(&root, "POST", "auth/client/login", login).await;
    let job = root.with_token(job["access_token"].as_str().unwrap());
    assert_eq!(reads(&job).await, [true, false]);
    let shown = root
        .get(&format!("clients/{}", made["client_id"].as_str().unwrap()))
        .await
        .1;
    assert_eq!(shown["metadata"], json!({ "team": "payments" }));
    done(&[
        "operators",
        "put",
        "ada",
        "--policy",
        "team",
        "--metadata",
        "team=payments",
    ]);
    assert_eq!(reads(&ada).await, [true, false]);
    server.terminate();
}

on_both_stores!(a_rule_may_name_metadata);
