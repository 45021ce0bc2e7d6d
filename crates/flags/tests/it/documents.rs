//! flagd's document of a whole set, in and out.

use serde_json::{Value, json};
use strongroom_flags::{Imported, is_key, parse_flagd, set_to_flagd};

fn document() -> Value {
    json!({
        "$schema": "https://flagd.dev/schema/v0/flags.json",
        "flags": {
            "new-checkout": {
                "state": "ENABLED",
                "variants": { "on": true, "off": false },
                "defaultVariant": "off",
                "targeting": { "if": [{ "$ref": "ours" }, "on", null] },
            },
            "limit": { "state": "DISABLED", "variants": { "low": 10.0 } },
        },
        "$evaluators": { "ours": { "ends_with": [{ "var": "email" }, "@example.com"] } },
        "metadata": { "flagSetId": "shop" },
    })
}

fn exported(set: &Imported) -> Value {
    set_to_flagd(
        set.flags.iter().map(|(key, flag)| (key.as_str(), flag)),
        &set.evaluators,
        &set.metadata,
    )
}

#[test]
fn a_document_comes_out_as_it_went_in() {
    let set = parse_flagd(&document()).unwrap();
    assert_eq!(exported(&set), document());
}

#[test]
fn flags_may_be_a_list_with_keys() {
    let mut listed = document();
    let flags = listed["flags"].take();
    listed["flags"] = flags
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, flag)| {
            let mut flag = flag.clone();
            flag["key"] = json!(key);
            flag
        })
        .collect();
    assert_eq!(exported(&parse_flagd(&listed).unwrap()), document());
}

#[test]
fn every_mistake_in_a_document_is_told_with_its_place() {
    let wrong = json!({
        "flags": [
            { "key": "a", "state": "ENABLED", "variants": { "on": true } },
            { "key": "a", "state": "ENABLED", "variants": { "on": true } },
            { "key": "-", "state": "ENABLED", "variants": { "on": true } },
            { "state": "ENABLED", "variants": { "on": true } },
            { "key": "b", "state": "ENABLED", "variants": { "on": [] } },
            7,
        ],
        "metadata": { "deep": {} },
        "other": 1,
    });
    let mistakes = parse_flagd(&wrong).unwrap_err();
    let places: Vec<_> = mistakes.iter().map(|mistake| mistake.at.as_str()).collect();
    assert_eq!(
        places,
        [
            "/other",
            "/metadata/deep",
            "/flags/1",
            "/flags/2",
            "/flags/3",
            "/flags/4/variants/on",
            "/flags/5"
        ]
    );

    let one = |document: Value| parse_flagd(&document).unwrap_err().remove(0);
    assert_eq!(one(json!(1)).why, "a flagd document is an object");
    assert_eq!(one(json!({})).why, "`flags` is missing");
    assert_eq!(one(json!({ "flags": 1 })).at, "/flags");
    assert_eq!(one(json!({ "flags": { "a b": {} } })).at, "/flags/a b");
    assert_eq!(
        one(json!({ "flags": {}, "$evaluators": { "x": { "no": [] } } })).at,
        "/$evaluators/x/no"
    );
}

#[test]
fn keys_are_plain() {
    for key in ["a", "A", "0", "new-checkout", "a.b_c-d", &"x".repeat(128)] {
        assert!(is_key(key), "{key}");
    }
    for key in ["", "-a", ".a", "_a", "a b", "a/b", "é", "a\n", &"x".repeat(129)] {
        assert!(!is_key(key), "{key}");
    }
}
