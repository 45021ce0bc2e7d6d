//! `flag`: definitions by hand, by file and from variables, and the variables that come of them again.

use serde_json::{Value, json};

use super::Shell;
use crate::flags::boolean;
use crate::harness::{On, run};

impl Shell {
    fn eval(&self, path: &str, contexts: &[&str]) -> String {
        let mut args = vec!["flag", "eval", path];
        args.extend(contexts.iter().flat_map(|context| ["--context", context]));
        self.text(&args)
    }

    fn definition(&self, path: &str) -> Value {
        self.json(&["flag", "get", path])["definition"].clone()
    }
}

async fn set_turn_and_evaluate(on: On) {
    let shell = Shell::on(on);
    let at = "shop/prod/new-checkout";
    shell.fails(&["flag", "get", at], 3, "There is no such flag");
    shell.fails(&["flag", "on", at], 3, "There is no such flag");
    shell.fails(&["flag", "set", at], 1, "nothing says what it gives");
    shell.fails(
        &["flag", "set", "shop/new-checkout", "--value", "true"],
        1,
        "project/environment",
    );
    let about = [
        "--owner",
        "shop",
        "--kind",
        "kill_switch",
        "--tag",
        "team=shop",
        "--expires",
        "30d",
    ];
    let made = shell.json(
        &[
            &["flag", "set", at, "--value", "false", "--cas", "0", "--permanent"][..],
            &about,
        ]
        .concat(),
    );
    assert_eq!(
        (
            &made["definition"],
            &made["version"],
            &made["kind"],
            &made["permanent"],
            &made["tags"]
        ),
        (
            &boolean("off"),
            &json!(1),
            &json!("kill_switch"),
            &json!(true),
            &json!({ "team": "shop" })
        )
    );
    assert_eq!(shell.eval(at, &[]), "false\n");
    shell.fails(&["flag", "set", at, "--value", "true", "--cas", "0"], 5, "'cas' is 0");

    let on = shell.json(&["flag", "on", at]);
    assert_eq!((&on["definition"], &on["owner"]), (&boolean("on"), &json!("shop")));
    assert_eq!(
        shell.json(&["flag", "on", at])["version"],
        on["version"],
        "it is on already"
    );
    assert_eq!(shell.eval(at, &[]), "true\n");
    shell.ok(&["flag", "set", at, "--state", "disabled"], b"");
    let (code, stdout, stderr) = shell.run(&["flag", "eval", at], b"");
    assert_eq!((code, stdout), (0, Vec::new()));
    assert!(stderr.contains("gives no value (DISABLED)"), "{stderr}");
    assert_eq!(shell.json(&["flag", "eval", at])["reason"], "DISABLED");
    shell.ok(&["flag", "off", at], b"");
    assert_eq!(
        (shell.definition(at), shell.eval(at, &[])),
        (boolean("off"), "false\n".into())
    );
    let changed = shell.json(&["flag", "set", at, "--owner", "", "--permanent=false", "--tag", "team="]);
    assert_eq!(changed["kind"], "kill_switch");
    assert!(
        ["owner", "permanent", "tags"]
            .iter()
            .all(|name| changed[name].is_null()),
        "{changed}"
    );

    // Of another type, on and off are its state.
    let color = "shop/prod/color";
    let variants = ["--variant", "warm=red", "--variant", "cold=\"1\"", "--default", "warm"];
    let made = shell.json(&[&["flag", "set", color][..], &variants].concat());
    assert_eq!(made["definition"]["variants"], json!({ "warm": "red", "cold": "1" }));
    assert_eq!(shell.json(&["flag", "off", color])["definition"]["state"], "DISABLED");
    assert_eq!(shell.json(&["flag", "on", color])["definition"]["state"], "ENABLED");
    shell.ok(&["flag", "set", color, "--value", "1.50"], b"");
    assert_eq!(shell.definition(color)["variants"], json!({ "value": 1.5 }));
    shell.ok(&["flag", "set", "shop/prod/only", "--variant", "yes=true"], b"");
    shell.fails(&["flag", "off", "shop/prod/only"], 1, "no variant that is false");
    assert_eq!(shell.json(&["flag", "eval", "shop/prod/only"])["reason"], "DEFAULT");

    let listed = shell.text(&["flag", "ls", "shop/prod"]);
    assert!(
        listed.starts_with("KEY") && listed.contains("new-checkout  ENABLED  off"),
        "{listed}"
    );
    assert!(shell.text(&["flag", "ls"]).contains("shop/prod"));
    assert!(shell.text(&["flag", "get", at]).contains("\"defaultVariant\": \"off\""));
    shell.ok(&["flag", "delete", at], b"");
    shell.fails(&["flag", "eval", at], 3, "FLAG_NOT_FOUND");
    shell.fails(&["flag", "delete", at], 3, "There is no such flag");
}

async fn rules_are_not_lost_unasked(on: On) {
    let shell = Shell::on(on);
    let at = "shop/prod/x";
    let yaml = "state: ENABLED\nvariants: {on: true, off: false}\ndefaultVariant: off\n\
                targeting:\n  if: [{ends_with: [{var: email}, '@example.com']}, on, null]\n";
    shell.ok(&["flag", "set", at, "-"], yaml.as_bytes());
    assert_eq!(shell.definition(at)["variants"], json!({ "on": true, "off": false }));
    let ann = ["email=ann@example.com"];
    assert_eq!(
        (shell.eval(at, &[]), shell.eval(at, &ann)),
        ("false\n".into(), "true\n".into())
    );
    for verb in [
        &["flag", "off", at][..],
        &["flag", "set", at, "--value", "false"],
        &["flag", "rollout", at, "on=10", "off=90"],
    ] {
        shell.fails(verb, 5, "The flag has a rule");
    }
    let file = shell.file("flags.env", "X=false\n");
    shell.fails(
        &["flag", "import", "dotenv", &file, "shop/prod"],
        5,
        "x: The flag has a rule",
    );
    assert_eq!(shell.eval(at, &ann), "true\n", "nothing was written");
    shell.ok(&["flag", "set", at, "--default", "on"], b"");
    assert_eq!(shell.eval(at, &[]), "true\n");

    shell.fails(&["flag", "rollout", at, "blue=1"], 1, "no variant 'blue'");
    shell.fails(&["flag", "rollout", at, "on=-1"], 1, "no whole number");
    let rolled = shell.json(&["flag", "rollout", at, "on=25", "off=75", "--replace"]);
    assert_eq!(
        rolled["definition"]["targeting"],
        json!({ "fractional": [["on", 25], ["off", 75]] })
    );
    let users: Vec<String> = (0..40).map(|at| format!("targetingKey=user-{at}")).collect();
    let on = users.iter().filter(|user| shell.eval(at, &[user]) == "true\n").count();
    assert!((1..30).contains(&on), "{on} of 40");
    assert!(shell.text(&["flag", "ls", "shop/prod"]).contains("rollout"));
    // A rollout is no other rule: it grows, and it ends.
    shell.ok(&["flag", "rollout", at, "on=100", "off=0"], b"");
    assert_eq!(shell.eval(at, &[&users[0]]), "true\n");
    shell.ok(&["flag", "off", at], b"");
    assert_eq!(shell.definition(at), boolean("off"));

    let text = |targeting: Value| {
        json!({ "state": "ENABLED", "variants": { "on": true }, "targeting": targeting }).to_string()
    };
    shell.fails(
        &["flag", "set", at, "--definition", &text(json!({ "ends_with": ["a"] }))],
        1,
        "/targeting/ends_with",
    );
    shell.fails(&["flag", "set", at, "--definition", "{"], 1, "not valid JSON");
    shell.fails(&["flag", "set", at, "--definition", "[1]"], 1, "is an object");
    shell.ok(
        &[
            "flag",
            "set",
            at,
            "--definition",
            &text(json!({ "+": [{ "var": "n" }, 1] })),
        ],
        b"",
    );
    shell.fails(&["flag", "eval", at, "--context", "n=x"], 6, "PARSE_ERROR");
    shell.fails(&["flag", "eval", at, "--context", r#"{"n":1}"#], 6, "is no variant");
    shell.fails(
        &["flag", "eval", at, "--context", r#"{"targetingKey":1}"#],
        1,
        "targetingKey",
    );
    shell.fails(&["flag", "eval", at, "--context", "n"], 1, "is no context");
}

async fn versions_tell_and_come_back(on: On) {
    let shell = Shell::on(on);
    let at = "shop/prod/x";
    for value in ["false", "true"] {
        shell.ok(&["flag", "set", at, "--value", value], b"");
    }
    shell.ok(&["flag", "set", at, "--owner", "shop"], b"");
    let changed = shell.text(&["flag", "diff", at, "1", "3"]);
    assert_eq!(
        changed,
        "+ /about/owner: \"shop\"\n- /definition/defaultVariant: \"off\"\n+ /definition/defaultVariant: \"on\"\n"
    );
    assert_eq!(shell.text(&["flag", "diff", at]), "+ /about/owner: \"shop\"\n");
    shell.fails(&["flag", "diff", at, "1", "9"], 3, "no version 9");
    assert_eq!(
        shell.json(&["flag", "history", at])["items"].as_array().unwrap().len(),
        3
    );
    assert!(
        shell
            .text(&["flag", "rollback", at, "--version", "1"])
            .contains("at version 4")
    );
    assert_eq!(
        (shell.definition(at), shell.eval(at, &[])),
        (boolean("off"), "false\n".into())
    );
    shell.fails(&["flag", "rollback", at, "--to", "9"], 3, "");
    assert_eq!(shell.text(&["flag", "history", at]).lines().count(), 5);
}

async fn stale_ones_are_listed(on: On) {
    let shell = Shell::on(on);
    let past = "2020-01-01T00:00:00Z";
    for (set, more) in [
        ("shop/prod", None),
        ("shop/test", None),
        ("shop/next", Some("--permanent")),
    ] {
        let at = format!("{set}/x");
        let args = ["flag", "set", &at, "--value", "true", "--expires", past];
        shell.ok(&[&args[..], more.as_slice()].concat(), b"");
    }
    shell.ok(&["flag", "set", "shop/prod/fresh", "--value", "true"], b"");
    let all = shell.text(&["flag", "stale"]);
    let lines: Vec<&str> = all.lines().skip(1).collect();
    assert!(
        lines.len() == 2
            && lines[0].starts_with("shop/prod/x  expired  release")
            && lines[1].starts_with("shop/test/x"),
        "{all}"
    );
    let found = shell.json(&["flag", "stale", "shop/test", "--days", "1"]);
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&found["items"][0]["environment"], &found["items"][0]["why"]),
        (&json!("test"), &json!(["expired"]))
    );
    shell.ok(&["flag", "set", "shop/test/x", "--expires", ""], b"");
    assert_eq!(shell.json(&["flag", "stale", "shop/test"])["items"], json!([]));
}

const DOCUMENT: &str = r#"{
  "$schema": "https://flagd.dev/schema/v0/flags.json",
  "flags": {
    "a": { "state": "ENABLED", "variants": { "on": true, "off": false }, "defaultVariant": "off",
           "targeting": { "if": [{ "$ref": "staff" }, "on", null] } },
    "n": { "state": "DISABLED", "variants": { "ten": 10.0 }, "metadata": { "ticket": 7 } }
  },
  "$evaluators": { "staff": { "ends_with": [{ "var": "email" }, "@example.com"] } },
  "metadata": { "flagSetId": "shop" }
}"#;

async fn documents_go_in_and_out(on: On) {
    let shell = Shell::on(on);
    let file = shell.file("flags.json", DOCUMENT);
    let imported = shell.json(&["flag", "import", "flagd", &format!("@{file}"), "shop/prod"]);
    assert_eq!(imported, json!({ "changed": ["a", "n"], "unchanged": 0 }));
    let exported = shell.text(&["flag", "export", "shop/prod"]);
    assert_eq!(
        serde_json::from_str::<Value>(&exported).unwrap(),
        serde_json::from_str::<Value>(DOCUMENT).unwrap()
    );
    // Out and in again, in either form, it is the same.
    shell.ok(&["flag", "import", "flagd", "-", "shop/test"], exported.as_bytes());
    assert_eq!(shell.text(&["flag", "export", "shop/test"]), exported);
    let yaml = shell.ok(&["flag", "export", "shop/prod", "-o", "yaml"], b"");
    let again = shell.ok(&["flag", "import", "flagd", "-", "shop/prod", "-o", "json"], &yaml);
    assert_eq!(
        serde_json::from_slice::<Value>(&again).unwrap(),
        json!({ "changed": [], "unchanged": 2 })
    );

    let copy = ["flag", "copy", "shop/prod", "shop/next"];
    shell.ok(&["flag", "set", "shop/next/n", "--value", "1"], b"");
    shell.fails(&[&copy[..], &["--key", "none"]].concat(), 3, "There is no flag 'none'");
    assert_eq!(shell.json(&[&copy[..], &["--key", "n"]].concat())["changed"], json!([]));
    let over = shell.json(&[&copy[..], &["--key", "n", "--overwrite"]].concat());
    assert_eq!(over["changed"], json!(["n"]));
    assert_eq!(shell.definition("shop/next/n"), shell.definition("shop/prod/n"));

    let away = [("STRONGROOM_ADDR", "http://127.0.0.1:1")];
    let lint = |files: &[&str]| {
        let (code, stdout, stderr) = run(&[&["flag", "lint"], files].concat(), &away, b"");
        (code, String::from_utf8(stdout).unwrap() + &stderr)
    };
    assert_eq!(lint(&[&file]).0, 0);
    let broken = shell.file(
        "broken.yaml",
        "flags:\n  a: {state: on, variants: {x: 1}}\n  b: {state: ENABLED, variants: {x: []}}\n",
    );
    let (code, said) = lint(&[&file, &broken]);
    assert_eq!(code, 6, "{said}");
    assert!(
        said.contains("broken.yaml: /flags/a/state:") && said.contains("broken.yaml: /flags/b/variants/x:"),
        "{said}"
    );
    shell.fails(
        &["flag", "import", "flagd", &broken, "shop/prod"],
        1,
        "/flags/b/variants/x",
    );
    let nothing = shell.file("nothing.json", "{");
    assert_eq!(lint(&[&nothing]).0, 1);
    shell.fails(
        &["flag", "import", "flagd", &shell.file("list.json", "[]"), "shop/prod"],
        1,
        "a flagd document is an object",
    );
    let misspelt = shell.file("misspelt.json", r#"{"flags":{},"evaluators":{}}"#);
    let import = ["flag", "import", "flagd", &misspelt, "shop/prod"];
    shell.fails(&import, 1, "misspelt.json: /evaluators: ");
}

const VARIABLES: &str = "FEATURE_NEW_CHECKOUT=true\nFEATURE_OLD_CART=false\nFEATURE_LIMIT=10\nFEATURE_RATE=0.25\n\
    FEATURE_ID=007\nFEATURE_EMPTY=\nFEATURE_TITLE='two words, \"quoted\"'\nFEATURE_2FA=TRUE\nOTHER=x\n";

async fn variables_become_flags_and_variables(on: On) {
    let shell = Shell::on(on);
    let file = shell.file("service.env", VARIABLES);
    let import = ["flag", "import", "dotenv", &file, "shop/prod", "--strip", "FEATURE_"];
    assert_eq!(shell.json(&import)["changed"].as_array().unwrap().len(), 8);
    assert_eq!(shell.json(&import), json!({ "changed": [], "unchanged": 8 }));
    assert_eq!(shell.definition("shop/prod/new-checkout"), boolean("on"));
    assert_eq!(shell.definition("shop/prod/limit")["variants"], json!({ "value": 10 }));
    assert_eq!(shell.definition("shop/prod/id")["variants"], json!({ "value": "007" }));

    let given = |args: &[&str]| -> Vec<String> {
        let env = shell.text(&[&["run", "--flags", "shop/prod"], args, &["--", "env"]].concat());
        let mut given: Vec<_> = env
            .lines()
            .filter(|line| line.contains("FEATURE_"))
            .map(str::to_owned)
            .collect();
        given.sort();
        given
    };
    let wanted = [
        "FEATURE_2FA=TRUE",
        "FEATURE_EMPTY=",
        "FEATURE_ID=007",
        "FEATURE_LIMIT=10",
        "FEATURE_NEW_CHECKOUT=true",
        "FEATURE_OLD_CART=false",
        "FEATURE_RATE=0.25",
        "FEATURE_TITLE=two words, \"quoted\"",
    ];
    assert_eq!(given(&[]), wanted);
    assert_eq!(
        given(&["--flag-prefix", "MY_FEATURE_"]),
        wanted.map(|line| format!("MY_{line}"))
    );
    // Exported and imported elsewhere, it is the same again.
    let exported = shell.ok(&["flag", "export", "shop/prod", "--format", "dotenv"], b"");
    shell.ok(
        &["flag", "import", "dotenv", "-", "shop/test", "--strip", "FEATURE_"],
        &exported,
    );
    assert_eq!(
        shell.ok(&["flag", "export", "shop/test", "--format", "dotenv"], b""),
        exported
    );

    shell.ok(&["flag", "rollout", "shop/prod/new-checkout", "off=100"], b"");
    assert!(given(&["--flag-context", "targetingKey=a"]).contains(&"FEATURE_NEW_CHECKOUT=false".to_owned()));
    assert!(given(&[]).contains(&"FEATURE_NEW_CHECKOUT=true".to_owned()));
    shell.ok(&["flag", "set", "shop/prod/id", "--state", "disabled"], b"");
    shell.ok(
        &[
            "flag",
            "set",
            "shop/prod/rate",
            "--definition",
            r#"{"state":"ENABLED","variants":{"v":1},"targeting":{"+":[{"var":"email"},1]}}"#,
        ],
        b"",
    );
    let (code, stdout, stderr) = shell.run(
        &["run", "--flags", "shop/prod", "--flag-context", "email=x", "--", "env"],
        b"",
    );
    let env = String::from_utf8(stdout).unwrap();
    assert!(
        code == 0 && stderr.contains("rate: ") && env.contains("FEATURE_LIMIT=10"),
        "{stderr}"
    );
    assert!(!env.contains("FEATURE_ID") && !env.contains("FEATURE_RATE"), "{env}");

    // Beside secrets, and wins over them.
    shell.ok(&["put", "shop/FEATURE_LIMIT", "-"], b"secret");
    shell.ok(&["put", "shop/FEATURE_KEY", "-"], b"secret");
    let both = given(&["--prefix", "shop"]);
    assert!(both.contains(&"FEATURE_LIMIT=10".to_owned()) && both.contains(&"FEATURE_KEY=secret".to_owned()));

    shell.ok(&["flag", "set", "shop/prod/old_cart", "--value", "true"], b"");
    let run = |set| ["run", "--flags", set, "--", "true"];
    let stdin = ["run", "--flags", "shop/test", "--flag-context", "-", "--", "true"];
    shell.fails(&stdin, 125, "Stdin is the command's");
    shell.fails(&run("shop/prod"), 125, "would both be the variable FEATURE_OLD_CART");
    shell.fails(&run("shop/none"), 125, "no flag that you may read");
    shell.fails(&["run", "--", "true"], 1, "--flags");
    shell.fails(&["export"], 1, "--prefix");
    for (text, says) in [
        ("FEATURE_A=1\nFEATURE_a=2\n", "line 2: Another line makes the flag 'a'"),
        ("FEATURE_=1\n", "line 1: A flag's key"),
        ("A=1\n", "no variable whose name starts with 'FEATURE_'"),
        ("FEATURE_A='1\n", "line 1: the single quote"),
    ] {
        let file = shell.file("broken.env", text);
        shell.fails(
            &["flag", "import", "dotenv", &file, "shop/prod", "--strip", "FEATURE_"],
            1,
            says,
        );
    }
}

async fn browser_keys_and_denials(on: On) {
    let shell = Shell::on(on);
    shell.ok(&["flag", "set", "shop/prod/x", "--value", "true"], b"");
    let create = [
        "flag",
        "key",
        "create",
        "shop/prod",
        "--origin",
        "https://shop.example.com",
        "--ttl",
        "30d",
    ];
    let made = shell.json(&create);
    assert!(made["key"].as_str().unwrap().starts_with("srb_"));
    let id = made["key_id"].as_str().unwrap();
    let listed = shell.text(&["flag", "key", "list", "shop/prod"]);
    assert!(
        listed.contains(id) && listed.contains("https://shop.example.com") && !listed.contains("srb_"),
        "{listed}"
    );
    shell.ok(&["flag", "key", "delete", "shop/prod", id], b"");
    assert!(!shell.text(&["flag", "key", "list", "shop/prod"]).contains(id));
    shell.fails(&["flag", "key", "delete", "shop/prod", id], 3, "");
    shell.fails(
        &["flag", "key", "create", "shop/prod", "--origin", "http://a"],
        1,
        "An origin is",
    );

    let reader = json!([{ "path": "flag/shop/prod/*", "capabilities": ["read"] }]);
    let token = shell.api().workload("flag-reader", reader).await;
    let environment = [
        ("STRONGROOM_ADDR", shell.address.as_str()),
        ("STRONGROOM_TOKEN", token.as_str()),
    ];
    for (args, code) in [
        (&["flag", "eval", "shop/prod/x"][..], 0),
        (&["run", "--flags", "shop/prod", "--", "true"], 0),
        (&["flag", "off", "shop/prod/x"], 4),
        (&["flag", "eval", "shop/test/x"], 4),
        (&["run", "--flags", "shop/test", "--", "true"], 125),
        (&["flag", "key", "list", "shop/prod"], 4),
        (&["flag", "delete", "shop/prod/x"], 4),
    ] {
        let (found, _, stderr) = run(args, &environment, b"");
        assert_eq!(found, code, "{args:?}: {stderr}");
    }

    let shown = |args: &[&str]| shell.text(&[&["--show-curl"], args].concat());
    let eval = shown(&["flag", "eval", "shop/prod/x", "--context", "email=ann@example.com"]);
    assert!(
        eval.contains("/flags/shop/prod/ofrep/v1/evaluate/flags/x'")
            && eval.contains("$STRONGROOM_TOKEN")
            && !eval.contains("ann@"),
        "{eval}"
    );
    let off = shown(&["flag", "off", "shop/prod/x"]);
    assert!(
        off.contains("-X PUT") && off.contains("/api/v1/flags/shop/prod/x"),
        "{off}"
    );
    assert_eq!(shell.eval("shop/prod/x", &[]), "true\n");
}

on_both_stores!(
    set_turn_and_evaluate,
    rules_are_not_lost_unasked,
    versions_tell_and_come_back,
    stale_ones_are_listed,
    documents_go_in_and_out,
    variables_become_flags_and_variables,
    browser_keys_and_denials
);
