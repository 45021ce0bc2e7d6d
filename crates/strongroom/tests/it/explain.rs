//! A denial can be explained to someone who is allowed to ask, and who may do something is known.

mod dry_run;
mod metadata;

use serde_json::{Value, json};

use crate::asks::Ask;
use crate::harness::{Api, On, Server, Store, run};
use crate::operators::PASSWORD;

struct Place {
    store: Store,
    server: Server,
    root: Api,
}

impl Place {
    fn on(on: On) -> Self {
        let store = Store::fresh(on);
        let server = store.dev(&[]);
        let root = Api::new(&server, store.root_token());
        Self { store, server, root }
    }
}

async fn ok(api: &Api, method: &str, path: &str, body: Value) -> Value {
    let (status, answer) = api.call(method, path, Some(body)).await.unwrap();
    assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    answer
}

async fn explain(api: &Api, body: Value) -> Value {
    ok(api, "POST", "explain", body).await
}

async fn a_denial_explains_itself(on: On) {
    let Place {
        server,
        root,
        store: _store,
    } = Place::on(on);
    ok(&root, "PUT", "secrets/pay/db", json!({ "value": "v" })).await;
    let rules = json!([{ "path": "secret/pay/*", "capabilities": ["list"] }]);
    let web = root.with_token(root.workload("web", rules.clone()).await);
    let other = root.with_token(root.workload("other", rules).await);

    let (status, denied) = web.get("secrets/pay/db").await;
    assert_eq!(status, 403, "{denied}");
    let named = json!({ "denial_id": denied["denial_id"] });
    let found = explain(&web, named.clone()).await;
    assert_eq!(
        (&found["decision"], &found["missing"], &found["path"]),
        (&json!("no_grant"), &json!("read"), &json!("secret/pay/db"))
    );
    assert_eq!(
        found["deciding"],
        json!({ "path": "secret/pay/*", "capabilities": ["list"], "policies": ["web"] })
    );
    // It names the entry: what is there says the same.
    let (entry, last) = denied["denial_id"].as_str().unwrap().rsplit_once(".read").unwrap();
    assert_eq!(last, "");
    let logged = root.get("audit?outcome=denied&path=pay/db").await.1["items"][0].clone();
    assert_eq!(
        entry,
        format!("{}.{}", logged["batch"].as_str().unwrap(), logged["place"])
    );
    assert_eq!(logged["request_id"], denied["request_id"]);

    // Others' denials are there for those who may ask, and for nobody else.
    let unknown = json!({ "denial_id": "1.2.99999.0.read" });
    let mut bodies = Vec::new();
    for (api, body) in [(&other, &named), (&other, &unknown), (&web, &unknown)] {
        let (status, mut answer) = api.post("explain", body.clone()).await;
        assert_eq!(status, 404, "{answer}");
        answer["request_id"] = Value::Null;
        bodies.push(answer);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
    for text in ["", "nonsense", "1.2.3", "1.2.3.4.deny", "-1.2.3.4.read"] {
        assert_eq!(web.post("explain", json!({ "denial_id": text })).await.0, 404, "{text}");
    }
    root.operator("ada", json!({ "policies": ["auditor"] })).await;
    let ada = root.as_operator("ada", PASSWORD).await;
    for api in [&ada, &root] {
        assert_eq!(explain(api, named.clone()).await["deciding"], found["deciding"]);
    }

    // The rule that it says allows it, and takes nothing.
    let rule = found["would_allow"].clone();
    let (_, pasted) = found["detail"]
        .as_str()
        .unwrap()
        .split_once("would allow it: ")
        .unwrap();
    assert_eq!(serde_json::from_str::<Value>(pasted).unwrap(), rule);
    ok(&root, "PUT", "policies/more", json!({ "rules": [rule] })).await;
    ok(
        &root,
        "PUT",
        "roles/web",
        json!({ "policies": ["web", "more"], "access_token_ttl": 3600 }),
    )
    .await;
    assert_eq!(web.get("secrets/pay/db").await.1["value"], "v");
    assert_eq!(web.get("versions/pay/db").await.0, 200, "'list' on it is still granted");
    let now = explain(&web, named).await;
    assert_eq!(
        (&now["decision"], &now["missing"]),
        (&json!("allow"), &Value::Null),
        "as policies are now"
    );

    // An item of a batch, and a change, say theirs too.
    let batch = ok(&web, "POST", "batch", json!({ "reads": [{ "path": "elsewhere" }] })).await;
    let item = &batch["items"][0]["error"]["denial_id"];
    assert_eq!(
        explain(&web, json!({ "denial_id": item })).await["path"],
        "secret/elsewhere"
    );
    let (_, denied) = web.put("secrets/pay/db", json!({ "value": "w" })).await;
    let found = explain(&web, json!({ "denial_id": denied["denial_id"] })).await;
    assert_eq!(found["missing"], "create");
    // What is refused for another reason has none.
    for (status, answer) in [web.get("secrets/pay/none").await, root.get("secrets/none").await] {
        assert!(
            status == 404 && answer["denial_id"].is_null() || status == 403,
            "{answer}"
        );
    }
    server.terminate();
}

/// One entry, one id: folded refusals share both.
async fn folded_denials_share_one(on: On) {
    let Place {
        server,
        root,
        store: _store,
    } = Place::on(on);
    let powerless = json!([{ "path": "secret/nothing", "capabilities": ["read"] }]);
    let api = root.with_token(root.workload("powerless", powerless).await);
    let tasks: Vec<_> = (0..60)
        .map(|_| {
            let api = api.clone();
            tokio::spawn(async move { Ask::get(&api, "secrets/same").send(&api).await })
        })
        .collect();
    let mut told = std::collections::BTreeMap::<String, i64>::new();
    for task in tasks {
        let answer = task.await.unwrap();
        assert_eq!(answer.status, 403, "{}", answer.text);
        *told
            .entry(answer.json["denial_id"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    let page = root.get("audit?outcome=denied&path=same&limit=100").await.1;
    let mut logged = std::collections::BTreeMap::new();
    for item in page["items"].as_array().unwrap() {
        let id = format!("{}.{}.read", item["batch"].as_str().unwrap(), item["place"]);
        logged.insert(id, item["count"].as_i64().unwrap());
    }
    println!("{on:?}: 60 denials at once have {} ids", told.len());
    assert_eq!(told, logged, "each id as often as its entry counts");
    assert!(told.len() < 60, "some folded");
    server.terminate();
}

async fn who_can_is_whoever_can(on: On) {
    let Place { server, root, store } = Place::on(on);
    ok(&root, "PUT", "secrets/a/b", json!({ "value": "v" })).await;
    let rules = |paths: &[(&str, &[&str])]| {
        let rules = paths
            .iter()
            .map(|(path, capabilities)| json!({ "path": path, "capabilities": capabilities }));
        Value::Array(rules.collect())
    };
    let reads = root.workload("reads", rules(&[("secret/a/*", &["read"])])).await;
    let listed = root.workload("lists", rules(&[("secret/a/*", &["list"])])).await;
    let denied = root
        .workload("denied", rules(&[("secret/a/*", &["read"]), ("secret/a/b", &["deny"])]))
        .await;
    ok(&root, "PUT", "groups/readers", json!({ "policies": ["reader"] })).await;
    root.operator("ada", json!({ "policies": ["auditor"], "groups": ["readers"] }))
        .await;
    root.operator("eve", json!({ "policies": ["auditor"] })).await;

    let page = root.get("who-can?capability=read&path=a/b").await.1;
    let who = |page: &Value| -> Vec<Value> {
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|item| json!([item["kind"], item["name"], item["through"], item["deciding"]["path"]]))
            .collect()
    };
    let found = who(&page);
    let accessor = found.last().unwrap()[1].clone();
    assert_eq!(
        found,
        [
            json!(["role", "reads", [{ "role": "reads" }], "secret/a/*"]),
            json!(["client", "reads", [{ "role": "reads" }], "secret/a/*"]),
            json!(["operator", "ada", [{ "group": "readers" }], "secret/*"]),
            json!(["token", accessor, [], null]),
        ]
    );
    assert_eq!(page["items"][3]["root"], true);
    // Each of them can, and nobody else can.
    for (token, status) in [(&reads, 200), (&listed, 403), (&denied, 403)] {
        assert_eq!(root.with_token(token).get("secrets/a/b").await.0, status);
    }
    for (name, status) in [("ada", 200), ("eve", 403)] {
        assert_eq!(
            root.as_operator(name, PASSWORD).await.get("secrets/a/b").await.0,
            status
        );
        let asked = json!({ "capability": "read", "path": "a/b", "principal": name });
        let said = explain(&root, asked).await["decision"] == "allow";
        assert_eq!(said, status == 200);
    }
    // Page by page it is the same.
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = root
            .get(&format!("who-can?capability=read&path=secret/a/b&limit=1{cursor}"))
            .await
            .1;
        pages.extend(who(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(pages, found);
    // Deciding rules change with the policies, at once.
    ok(
        &root,
        "PUT",
        "policies/reads",
        json!({ "rules": rules(&[("secret/a/*", &["list"])]) }),
    )
    .await;
    assert_eq!(who(&root.get("who-can?capability=read&path=a/b").await.1), found[2..]);

    let eve = root.as_operator("eve", PASSWORD).await;
    assert_eq!(
        eve.get("who-can?capability=read&path=a/b").await.0,
        200,
        "an auditor may ask"
    );
    let reads = root.with_token(&reads);
    assert_eq!(reads.get("who-can?capability=read&path=a/b").await.0, 403);
    let other = json!({ "capability": "read", "path": "a/b", "principal": "eve" });
    assert_eq!(reads.post("explain", other).await.0, 403);
    for wrong in [
        "capability=deny&path=a",
        "capability=read&path=a//b",
        "capability=read",
        "path=a",
    ] {
        assert_eq!(root.get(&format!("who-can?{wrong}")).await.0, 400, "{wrong}");
    }

    let shell = |token: &str, args: &[&str]| {
        let environment = [
            ("STRONGROOM_ADDR", server.address()),
            ("STRONGROOM_TOKEN", token.to_owned()),
        ];
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let (code, stdout, stderr) = run(args, &environment, b"");
        (code, String::from_utf8(stdout).unwrap(), stderr)
    };
    let token = reads.token.as_deref().unwrap();
    let (code, stdout, _) = shell(token, &["can-i", "list", "a/b"]);
    assert!(code == 0 && stdout.contains("'secret/a/*' of reads"), "{stdout}");
    let (code, stdout, stderr) = shell(token, &["can-i", "read", "a/b"]);
    assert!(
        code == 4 && stdout.contains("'read' on 'secret/a/b' is not granted") && stderr.is_empty(),
        "{stdout}{stderr}"
    );
    let (code, stdout, _) = shell(token, &["can-i", "read", "a/b", "-o", "json"]);
    let said: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &said["missing"]), (4, &json!("read")));
    let (code, stdout, _) = shell(&store.root_token(), &["can-i", "sudo", "sys/recovery"]);
    assert!(code == 0 && stdout.contains("root"), "{stdout}");
    let (code, stdout, _) = shell(&store.root_token(), &["who-can", "read", "a/b", "-o", "json"]);
    assert_eq!(
        (code, who(&serde_json::from_str(&stdout).unwrap())),
        (0, found[2..].to_vec())
    );
    let (code, _, stderr) = shell(token, &["get", "a/b"]);
    assert_eq!(code, 4);
    let id = stderr
        .lines()
        .find_map(|line| line.strip_prefix("denial id: "))
        .unwrap();
    let (code, stdout, _) = shell(token, &["explain", id]);
    assert!(
        code == 0 && stdout.contains("One policy more with this rule"),
        "{stdout}"
    );
    server.terminate();
}

async fn networks_are_asked_each_time(on: On) {
    let Place {
        server,
        root,
        store: _store,
    } = Place::on(on);
    ok(&root, "PUT", "secrets/n/s", json!({ "value": "v" })).await;
    let rule = |networks: &[&str], capability: &str| json!({ "path": "secret/n/*", "capabilities": [capability], "networks": networks });
    let away = root.with_token(root.workload("away", json!([rule(&["10.0.0.0/8"], "read")])).await);
    let here = root.with_token(root.workload("here", json!([rule(&["127.0.0.0/8"], "read")])).await);
    let kept = json!([{ "path": "secret/n/*", "capabilities": ["read"] }, rule(&["127.0.0.1"], "deny")]);
    let kept_out = root.with_token(root.workload("kept-out", kept).await);
    for (api, status) in [(&away, 403), (&here, 200), (&kept_out, 403)] {
        for _ in 0..2 {
            assert_eq!(api.get("secrets/n/s").await.0, status);
        }
        let items = api.get("list/n").await;
        let shown = items.1["items"].as_array().is_some_and(|items| !items.is_empty());
        assert_eq!(shown, status == 200, "{items:?}");
    }
    // Whoever asks about others is told of access from anywhere, or from one address.
    let names = async |from: &str| -> Vec<Value> {
        let page = root.get(&format!("who-can?capability=read&path=n/s{from}")).await.1;
        let roles = page["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|item| item["kind"] == "role");
        roles.map(|item| item["name"].clone()).collect()
    };
    assert_eq!(names("").await, ["away", "here", "kept-out"]);
    assert_eq!(names("&from=127.0.0.1").await, ["here"]);
    assert_eq!(names("&from=::ffff:10.1.2.3").await, ["away", "kept-out"]);
    assert_eq!(names("&from=11.1.2.3").await, ["kept-out"]);
    let (_, denied) = away.get("secrets/n/s").await;
    let found = explain(&away, json!({ "denial_id": denied["denial_id"] })).await;
    assert_eq!(
        (&found["decision"], &found["deciding"]),
        (&json!("no_grant"), &Value::Null)
    );
    for wrong in ["10.0.0.1/8", "localhost", ""] {
        let body = json!({ "rules": [rule(&[wrong], "read")] });
        assert_eq!(root.put("policies/wrong", body).await.0, 400, "{wrong}");
    }
    server.terminate();
}

async fn a_rule_may_name_the_principal(on: On) {
    let Place {
        server,
        root,
        store: _store,
    } = Place::on(on);
    for who in ["ada", "eve"] {
        ok(
            &root,
            "PUT",
            &format!("secrets/home/{who}/key"),
            json!({ "value": who }),
        )
        .await;
    }
    let rules = json!([{ "path": "secret/home/{{principal.name}}/*", "capabilities": ["read", "list"] }]);
    ok(&root, "PUT", "policies/home", json!({ "rules": rules })).await;
    for who in ["ada", "eve"] {
        root.operator(who, json!({ "policies": ["home"] })).await;
        let api = root.as_operator(who, PASSWORD).await;
        assert_eq!(api.get(&format!("secrets/home/{who}/key")).await.1["value"], who);
        let other = if who == "ada" { "eve" } else { "ada" };
        let (status, denied) = api.get(&format!("secrets/home/{other}/key")).await;
        assert_eq!(status, 403);
        assert_eq!(
            explain(&api, json!({ "denial_id": denied["denial_id"] })).await["decision"],
            "no_grant"
        );
        let seen = api.get("list/home").await.1;
        assert_eq!(seen["items"].as_array().unwrap().len(), 1, "{seen}");
    }
    let page = root.get("who-can?capability=read&path=home/ada/key").await.1;
    let names: Vec<_> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["name"])
        .collect();
    assert_eq!(
        (names.len(), names[0]),
        (2, &json!("ada")),
        "and the root token: {page}"
    );
    let unknown = json!({ "rules": [{ "path": "secret/{{principal.id}}", "capabilities": ["read"] }] });
    let (status, refused) = root.put("policies/wrong", unknown).await;
    assert!(status == 400 && refused["code"] == "invalid_policy", "{refused}");
    server.terminate();
}

on_both_stores!(
    a_rule_may_name_the_principal,
    a_denial_explains_itself,
    folded_denials_share_one,
    who_can_is_whoever_can,
    networks_are_asked_each_time
);
