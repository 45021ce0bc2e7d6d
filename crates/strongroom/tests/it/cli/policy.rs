//! What policies were, and what they come to before they are written.

use serde_json::{Value, json};

use super::Shell;
use crate::harness::On;

async fn a_policy_has_a_history(on: On) {
    let shell = Shell::on(on);
    let api = shell.api();
    let rules = |path: &str| json!({ "rules": [{ "path": path, "capabilities": ["read", "list"] }] });
    let file = |path: &str| shell.file("policy.json", &rules(path).to_string());
    let first = shell.json(&["policy", "put", "pay", &file("secret/pay/*"), "--cas", "0"]);
    assert_eq!(first["version"], 1);
    let same = shell.json(&["policy", "put", "pay", &file("secret/pay/*"), "--cas", "1"]);
    assert_eq!(same["version"], 1, "the same rules are no other version");
    let second = shell.json(&["policy", "put", "pay", &file("secret/pay/prod/*"), "--cas", "1"]);
    assert_eq!(second["version"], 2);
    shell.fails(
        &["policy", "put", "pay", &file("secret/*"), "--cas", "1"],
        5,
        "'cas' is 1",
    );
    shell.fails(
        &["policy", "put", "other", &file("secret/*"), "--cas", "1"],
        5,
        "'cas' is 1",
    );

    let me = api.get("auth/whoami").await.1["principal"].clone();
    let history = shell.json(&["policy", "history", "pay"]);
    let items = history["items"].as_array().unwrap();
    let told: Vec<_> = items
        .iter()
        .map(|item| json!([item["version"], item["principal"], item["rules"]]))
        .collect();
    let rules = |path: &str| rules(path)["rules"].clone();
    assert_eq!(
        told,
        [
            json!([2, me, rules("secret/pay/prod/*")]),
            json!([1, me, rules("secret/pay/*")])
        ]
    );
    assert_eq!(
        shell.text(&["policy", "diff", "pay"]),
        "- secret/pay/*  read list\n+ secret/pay/prod/*  read list\n"
    );
    shell.fails(&["policy", "diff", "pay", "1", "7"], 3, "no version 7");
    assert_eq!(shell.json(&["policy", "history", "admin"])["items"], json!([]));
    shell.fails(&["policy", "history", "absent"], 3, "There is no such policy");

    // What is kept is bounded, and what an earlier program wrote is a first version.
    for at in 0..30 {
        let body = json!({ "rules": rules(&format!("secret/{at}")) });
        assert_eq!(api.put("policies/pay", body).await.0, 200);
    }
    let items = api.get("policy-versions/pay").await.1["items"].clone();
    let numbers: Vec<_> = items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["version"].clone())
        .collect();
    assert_eq!((numbers.len(), &numbers[0]), (21, &json!(32)));
    shell.ok(&["policy", "delete", "pay"], b"");
    let again = shell.json(&["policy", "put", "pay", &file("secret/pay/*"), "--cas", "0"]);
    assert_eq!(again["version"], 1, "a policy of that name made anew");
}

async fn lint_and_test_ask_nobody(on: On) {
    let shell = Shell::on(on);
    let write = |name: &str, rules: Value| shell.file(name, &json!({ "rules": rules }).to_string());
    let good = write(
        "pay.json",
        json!([{ "path": "secret/pay/*", "capabilities": ["read", "list"] }]),
    );
    let odd = write(
        "odd.json",
        json!([
            { "path": "secret/*", "capabilities": ["read", "list"] },
            { "path": "secret/pay/*", "capabilities": ["list", "sudo"] },
        ]),
    );
    let wrong = write("wrong.json", json!([{ "path": "pay/*", "capabilities": ["read"] }]));
    let expected = shell.file("expected", "allow read pay/db\ndeny read other/db\n# nothing\n");
    let away = [("STRONGROOM_ADDR", "http://127.0.0.1:1")];
    let offline = |args: &[&str]| {
        let (code, stdout, stderr) = crate::harness::run(args, &away, b"");
        (code, String::from_utf8(stdout).unwrap() + &stderr)
    };
    assert_eq!(offline(&["policy", "lint", &good]).0, 0);
    let (code, said) = offline(&["policy", "lint", &good, &odd]);
    assert!(
        code == 6 && said.contains("odd.json: rule 1: On 'secret/pay/*' nobody asks for sudo."),
        "{said}"
    );
    assert!(said.contains("read of 'secret/*' is not granted there"), "{said}");
    let (code, said) = offline(&["policy", "lint", &wrong]);
    assert!(code == 1 && said.contains("did you mean 'secret/pay/*'?"), "{said}");
    let (code, said) = offline(&["policy", "test", &expected, &good]);
    assert!(code == 0 && said.contains("All of 2"), "{said}");
    let (code, said) = offline(&["policy", "test", &expected, &good, &odd]);
    assert!(code == 6, "{said}");
    assert!(
        said.contains("line 2: 'read' on 'secret/other/db' is granted. The rule that decides is 'secret/*' of odd"),
        "{said}"
    );
    let (code, said) = offline(&["policy", "test", &expected, &odd, "-o", "json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, said["findings"].as_array().unwrap().len()), (6, 2));
    let (code, said) = offline(&["policy", "test", &good, &good]);
    assert!(code == 1 && said.contains("Line 1 is not"), "{said}");
}

on_both_stores!(a_policy_has_a_history, lint_and_test_ask_nobody);
