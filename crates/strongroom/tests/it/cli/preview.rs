//! `flag preview`: what an edit would change is what it then changes.

use serde_json::{Value, json};

use super::Shell;
use crate::harness::{Api, On, run};

const AT: &str = "shop/prod/checkout";
const SAMPLE: usize = 40;

impl Shell {
    fn preview(&self, more: &[&str]) -> Value {
        self.json(&[&["flag", "preview", AT][..], more].concat())
    }
}

/// What each of the sample is given.
async fn values(api: &Api) -> Vec<Value> {
    let mut values = Vec::new();
    for at in 1..=SAMPLE {
        let context = json!({ "context": { "targetingKey": format!("user-{at}") } });
        let (status, given) = api.ofrep("shop/prod/ofrep/v1/evaluate/flags/checkout", context).await;
        assert_eq!(status, 200, "{given}");
        values.push(given["value"].clone());
    }
    values
}

async fn a_sample_moves_as_foretold(on: On) {
    let shell = Shell::on(on);
    let api = shell.api();
    shell.ok(&["flag", "set", AT, "--value", "false"], b"");
    let sample = SAMPLE.to_string();
    for weights in [["on=25", "off=75"], ["on=60", "off=40"], ["on=10", "off=90"]] {
        let before = values(&api).await;
        let weighed = ["--weight", weights[0], "--weight", weights[1], "--sample", &sample];
        let told = shell.preview(&weighed);
        assert_eq!(values(&api).await, before, "nothing is written");
        shell.ok(&["flag", "rollout", AT, weights[0], weights[1]], b"");
        let after = values(&api).await;
        let moved: Vec<String> = (1..=SAMPLE)
            .filter(|at| before[at - 1] != after[at - 1])
            .map(|at| format!("user-{at}"))
            .collect();
        assert!(!moved.is_empty());
        assert_eq!(
            (&told["contexts"], &told["moved"]),
            (&json!(SAMPLE), &json!(moved.len())),
            "{told}"
        );
        let first = &told["groups"][0];
        assert_eq!(first["first"], json!(moved[..moved.len().min(5)]), "{told}");
        let groups = told["groups"].as_array().unwrap();
        let all: u64 = groups.iter().map(|group| group["contexts"].as_u64().unwrap()).sum();
        assert_eq!(all, 40);
        assert!(groups.iter().skip(1).all(|group| group["before"] == group["after"]));
    }
    let text = shell.text(&["flag", "preview", AT, "--state", "disabled", "--sample", &sample]);
    assert!(
        text.starts_with("BEFORE  AFTER  CONTEXTS  FIRST\noff     -")
            && text.ends_with("40 of 40 would be given something else.\n"),
        "{text}"
    );
    assert_eq!(shell.preview(&[])["contexts"], json!(1000));
    assert_eq!(shell.preview(&[])["moved"], json!(0), "no edit, no move");
}

async fn contexts_are_ones_own(on: On) {
    let shell = Shell::on(on);
    let server = shell.api();
    let rules = json!({ "evaluators": { "staff": { "ends_with": [{ "var": "email" }, "@example.com"] } } });
    let lines =
        "{\"targetingKey\":\"ann\",\"email\":\"ann@example.com\"}\n\n{\"email\":\"bob@example.org\"}\n{\"n\":1}\n";
    let of_lines = shell.file("contexts.jsonl", lines);
    let of_list = shell.file(
        "contexts.json",
        r#" [{"targetingKey":"ann","email":"ann@example.com"}, {"email":"bob@example.org"}, {"n":1}]"#,
    );
    let definition = json!({
        "state": "ENABLED", "variants": { "warm": "red", "cold": "blue" }, "defaultVariant": "cold",
        "targeting": { "if": [{ "$ref": "staff" }, "warm", null] },
    });
    let text = definition.to_string();
    let edit = ["--definition", &text, "--contexts", &of_lines];
    let mut unshared = vec!["flag", "preview", AT];
    unshared.extend(edit);
    shell.fails(&unshared, 1, "/targeting/if/0/$ref");
    assert_eq!(server.put("flag-sets/shop/prod/evaluators", rules).await.0, 200);
    // A flag that is not there yet gives nobody anything.
    let told = shell.preview(&edit);
    assert_eq!((&told["contexts"], &told["moved"]), (&json!(3), &json!(3)), "{told}");
    assert_eq!(told["groups"][0]["before"], json!({ "variant": null, "value": null }));
    assert_eq!(
        (&told["groups"][0]["after"], &told["groups"][0]["first"]),
        (
            &json!({ "variant": "cold", "value": "blue" }),
            &json!(["line 3", "line 4"])
        )
    );
    assert_eq!(told["groups"][1]["first"], json!(["ann"]));
    shell.fails(&["flag", "get", AT], 3, "There is no such flag");
    shell.ok(&["flag", "set", AT, "--definition", &text], b"");

    // A variant of another value moves those who have it.
    let variants = ["--variant", "warm=pink", "--variant", "cold=blue"];
    let told = shell.preview(&[&variants[..], &["--contexts", &of_list]].concat());
    assert_eq!(
        (&told["moved"], &told["groups"][0]["first"]),
        (&json!(1), &json!(["ann"]))
    );
    let from_stdin = [&["flag", "preview", AT, "--contexts", "-"][..], &variants].concat();
    let shown = String::from_utf8(shell.ok(&from_stdin, lines.as_bytes())).unwrap();
    assert!(
        shown.contains("warm (\"red\")  warm (\"pink\")  1         ann"),
        "{shown}"
    );
    let failing = json!({ "state": "ENABLED", "variants": { "a": 1 }, "targeting": { "+": [{ "var": "email" }, 1] } });
    let failing = failing.to_string();
    let told = shell.preview(&["--definition", &failing, "--contexts", &of_list]);
    let codes = told["groups"].as_array().unwrap().iter();
    let codes: Vec<(&Value, &Value)> = codes
        .map(|group| (&group["after"]["error_code"], &group["first"]))
        .collect();
    let (parse, general) = (json!("PARSE_ERROR"), json!("GENERAL"));
    let expected = [
        (&parse, &json!(["item 2"])),
        (&general, &json!(["item 3"])),
        (&parse, &json!(["ann"])),
    ];
    assert_eq!(codes, expected, "{told}");
    let text = shell.text(&["flag", "preview", AT, "--definition", &failing, "--contexts", &of_list]);
    assert!(text.contains("PARSE_ERROR: "), "{text}");

    // Whoever may read the one flag needs no more.
    let policy = json!([{ "path": format!("flag/{AT}"), "capabilities": ["read"] }]);
    let token = server.workload("previewer", policy).await;
    let as_reader = [
        ("STRONGROOM_ADDR", shell.address.as_str()),
        ("STRONGROOM_TOKEN", &token),
    ];
    let edit = ["flag", "preview", AT, "--default", "warm", "--contexts", &of_list];
    let (code, stdout, stderr) = run(&edit, &as_reader, b"");
    assert_eq!(code, 0, "{stderr}");
    assert!(String::from_utf8(stdout).unwrap().contains("2 of 3 would"));

    let broken = shell.file("broken.jsonl", "{}\n{\n");
    let none = shell.file("none.jsonl", "\n");
    let wrong = shell.file("wrong.json", "[{}, {\"targetingKey\": 1}]");
    for (more, code, said) in [
        (["--contexts", &broken], 1, "broken.jsonl: line 2: "),
        (["--contexts", &none], 1, "has no context"),
        (["--contexts", &wrong], 1, "item 2: /targetingKey"),
        (["--sample", "0"], 1, "0"),
        (["--weight", "blue=1"], 1, "no variant 'blue'"),
        (["--default", "blue"], 1, "/defaultVariant"),
    ] {
        shell.fails(&[&["flag", "preview", AT][..], &more].concat(), code, said);
    }
    shell.fails(
        &["flag", "preview", AT, "-", "--contexts", "-"],
        1,
        "Stdin is one of both",
    );
    shell.fails(
        &["flag", "preview", AT, "--weight", "a=1", "--default", "warm"],
        1,
        "cannot be used with",
    );
}

on_both_stores!(a_sample_moves_as_foretold, contexts_are_ones_own);
