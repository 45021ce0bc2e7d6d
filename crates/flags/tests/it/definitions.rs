//! What is refused when a flag is written, and where.

use serde_json::{Value, json};
use strongroom_flags::{Definition, Evaluators, FLAG_BYTES_MAX, Mistake, ValueType};

fn parse(json: &Value) -> Result<Definition, Mistake> {
    Definition::parse(json, &Evaluators::default())
}

fn with_rule(rule: impl Into<Value>) -> Value {
    let rule = rule.into();
    json!({ "state": "ENABLED", "variants": { "on": true, "off": false }, "targeting": rule })
}

#[test]
fn a_mistake_has_its_place() {
    let on = json!({ "on": true });
    let cases = [
        (json!([]), "", "object"),
        (json!({ "variants": on }), "", "`state` is missing"),
        (json!({ "state": "on", "variants": on }), "/state", "ENABLED"),
        (json!({ "state": "ENABLED" }), "", "`variants` is missing"),
        (
            json!({ "state": "ENABLED", "variants": {} }),
            "/variants",
            "at least one",
        ),
        (json!({ "state": "ENABLED", "variants": [] }), "/variants", "object"),
        (
            json!({ "state": "ENABLED", "variants": { "": 1 } }),
            "/variants/",
            "name",
        ),
        (
            json!({ "state": "ENABLED", "variants": { "a": null } }),
            "/variants/a",
            "boolean",
        ),
        (
            json!({ "state": "ENABLED", "variants": { "a": [] } }),
            "/variants/a",
            "boolean",
        ),
        (
            json!({ "state": "ENABLED", "variants": { "a/b": 1, "b": "x" } }),
            "/variants/b",
            "one type",
        ),
        (
            json!({ "state": "ENABLED", "variants": { "a": 9_007_199_254_740_992_u64 } }),
            "/variants/a",
            "exact",
        ),
        (
            json!({ "state": "ENABLED", "variants": on, "defaultVariant": "no" }),
            "/defaultVariant",
            "there are on",
        ),
        (
            json!({ "state": "ENABLED", "variants": on, "defaultVariant": true }),
            "/defaultVariant",
            "null or the name",
        ),
        (
            json!({ "state": "ENABLED", "variants": on, "rules": {} }),
            "/rules",
            "no such member",
        ),
        (
            json!({ "state": "ENABLED", "variants": on, "metadata": [] }),
            "/metadata",
            "object",
        ),
        (
            json!({ "state": "ENABLED", "variants": on, "metadata": { "a~b": {} } }),
            "/metadata/a~0b",
            "boolean",
        ),
        (with_rule(json!([])), "/targeting", "is a rule"),
        (with_rule(json!("on")), "/targeting", "is a rule"),
        (
            with_rule(json!({ "==": [1, 1], "!=": [1, 1] })),
            "/targeting",
            "one member",
        ),
        (with_rule(json!({ "if": [{}, "on"] })), "/targeting/if/0", "one member"),
        (
            with_rule(json!({ "unless": [true, "on"] })),
            "/targeting/unless",
            "no operator `unless`",
        ),
        (
            with_rule(json!({ "if": [{ "=": [1, 1] }, "on"] })),
            "/targeting/if/0/=",
            "no operator `=`",
        ),
        (with_rule(json!({ "==": [1] })), "/targeting/==", "2 arguments, not 1"),
        (
            with_rule(json!({ "<": [1, 2, 3, 4] })),
            "/targeting/<",
            "2 or 3 arguments, not 4",
        ),
        (
            with_rule(json!({ "if": [true] })),
            "/targeting/if",
            "at least 2 arguments, not 1",
        ),
        (with_rule(json!({ "!": [1, 2] })), "/targeting/!", "1 argument, not 2"),
        (
            with_rule(json!({ "+": { "var": "list" } })),
            "/targeting/+",
            "as a list",
        ),
        (
            with_rule(json!({ "/": [{ "/": [1, "x"] }, 1] })),
            "/targeting/~1/0/~1/1",
            "number",
        ),
        (with_rule(json!({ "max": [1, "2"] })), "/targeting/max/1", "number"),
        (with_rule(json!({ "var": "$flagd.time" })), "/targeting/var", "flagKey"),
        (with_rule(json!({ "var": ["../up"] })), "/targeting/var/0", "leave"),
        (with_rule(json!({ "var": [true] })), "/targeting/var/0", "path"),
        (with_rule(json!({ "missing": ["a", 1] })), "/targeting/missing/1", "key"),
        (
            with_rule(json!({ "missing_some": ["1", []] })),
            "/targeting/missing_some/0",
            "number",
        ),
        (
            with_rule(json!({ "sem_ver": ["1", "==", "1"] })),
            "/targeting/sem_ver/1",
            "one of",
        ),
        (
            with_rule(json!({ "fractional": [["on", 0.5]] })),
            "/targeting/fractional/0/1",
            "whole",
        ),
        (
            with_rule(json!({ "fractional": ["seed", ["on", 1, 2]] })),
            "/targeting/fractional/1",
            "bucket",
        ),
        (
            with_rule(json!({ "fractional": [["on", 2_147_483_647], ["off"]] })),
            "/targeting/fractional",
            "2147483648",
        ),
        (
            with_rule(json!({ "fractional": [1, ["on"]] })),
            "/targeting/fractional/0",
            "bucket",
        ),
        (
            with_rule(json!({ "$ref": "no" })),
            "/targeting/$ref",
            "no shared evaluator `no`",
        ),
    ];
    for (definition, at, why) in cases {
        let mistake = parse(&definition).expect_err(&definition.to_string());
        assert_eq!(mistake.at, at, "{definition}: {mistake}");
        assert!(mistake.why.contains(why), "{definition}: {mistake}");
    }
}

#[test]
fn a_definition_is_kept_as_it_was_given() {
    let json = json!({
        "state": "DISABLED",
        "variants": { "small": 1, "exact": 9_007_199_254_740_991_i64, "float": 10.0 },
        "defaultVariant": null,
        "targeting": null,
        "metadata": { "owner": "web" },
    });
    let mut definition = parse(&json).unwrap();
    assert_eq!(definition.to_json().to_string(), json.to_string());
    assert_eq!(definition.value_type(), ValueType::Number);
    assert_eq!(
        definition.variants().map(|(name, _)| name).collect::<Vec<_>>(),
        ["exact", "float", "small"]
    );
    assert_eq!((definition.enabled(), definition.default_variant()), (false, None));

    definition.set_enabled(true);
    definition.set_default_variant(Some("small")).unwrap();
    assert_eq!(
        (definition.enabled(), definition.default_variant()),
        (true, Some("small"))
    );
    assert_eq!(
        definition.set_default_variant(Some("large")).unwrap_err().at,
        "/defaultVariant"
    );
    definition.set_default_variant(None).unwrap();
    assert_eq!(parse(&definition.to_json()).unwrap(), definition);
}

#[test]
fn a_flag_is_of_bounded_size() {
    let with = |length: usize| json!({ "state": "ENABLED", "variants": { "a": "x".repeat(length) } });
    let around = with(0).to_string().len();
    assert!(parse(&with(FLAG_BYTES_MAX - around)).is_ok());
    assert!(
        parse(&with(FLAG_BYTES_MAX - around + 1))
            .unwrap_err()
            .why
            .contains("65536")
    );
}

#[test]
fn evaluators_are_rules_that_do_not_refer_to_themselves() {
    let good = json!({ "b": { "$ref": "a" }, "a": { "!": [{ "$ref": "c" }] }, "c": { "==": [1, 1] } });
    let evaluators = Evaluators::parse(&good).unwrap();
    assert_eq!(evaluators.to_json(), good);
    let flag = with_rule(json!({ "if": [{ "$ref": "b" }, "on", "off"] }));
    Definition::parse(&flag, &evaluators).unwrap();

    let cases = [
        (json!([]), "", "object"),
        (json!({ "": { "==": [1, 1] } }), "/", "name"),
        (json!({ "a\"b": { "==": [1, 1] } }), "/a\"b", "quotes"),
        (json!({ "a": true }), "/a", "is a rule"),
        (json!({ "a": { "==": [1] } }), "/a/==", "2 arguments"),
        (json!({ "a": { "$ref": "no" } }), "/a/$ref", "no shared evaluator"),
        (json!({ "a": { "$ref": "a" } }), "/a", "refers to itself"),
        (
            json!({ "a": { "!": [{ "$ref": "b" }] }, "b": { "!": [{ "$ref": "a" }] } }),
            "/a",
            "refers to itself",
        ),
    ];
    for (json, at, why) in cases {
        let mistake = Evaluators::parse(&json).unwrap_err();
        assert_eq!(mistake.at, at, "{json}: {mistake}");
        assert!(mistake.why.contains(why), "{json}: {mistake}");
    }
}
