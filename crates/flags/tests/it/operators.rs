//! What each operator gives.

use serde_json::{Value, json};

use crate::evaluation::evaluate;

/// The text of what a rule gives: no variant has it, so the failure tells it.
fn given(rule: &Value, context: &Value) -> String {
    let definition = json!({ "state": "ENABLED", "variants": { "(a variant)": true }, "targeting": rule });
    match evaluate(&definition, context.clone()).outcome {
        Ok(_) => "null".to_owned(),
        Err(failure) => match failure.details.strip_prefix("the rule gave `") {
            Some(rest) => rest
                .strip_suffix("`, which is no variant of this flag")
                .unwrap()
                .to_owned(),
            None => failure.code.name().to_owned(),
        },
    }
}

fn check(context: &Value, cases: &[(Value, &str)]) {
    for (rule, expected) in cases {
        assert_eq!(given(rule, context), *expected, "{rule}");
    }
}

#[test]
fn var_and_missing_find_what_a_context_has() {
    let context = json!({
        "plan": "pro", "null": null, "user": { "id": 7, "roles": ["admin", "dev"] }, "a.b": "dotted", "0": "zero", "text": "abc",
    });
    check(
        &context,
        &[
            (json!({ "var": "plan" }), "pro"),
            (json!({ "var": ["plan"] }), "pro"),
            (json!({ "var": "user.id" }), "7"),
            (json!({ "var": "user.roles.1" }), "dev"),
            (json!({ "var": "user.roles.2" }), "null"),
            (json!({ "var": "user.roles.01" }), "null"),
            (json!({ "var": "user" }), "[object Object]"),
            (json!({ "var": "user.roles" }), "admin,dev"),
            (json!({ "var": "a\\.b" }), "dotted"),
            (json!({ "var": 0 }), "zero"),
            (json!({ "var": "" }), "[object Object]"),
            (json!({ "var": "unset" }), "null"),
            (json!({ "var": ["unset", "else"] }), "else"),
            (json!({ "var": ["null", "else"] }), "else"),
            (json!({ "var": ["plan", { "/": [1, 0] }] }), "pro"),
            (json!({ "var": { "cat": ["pl", "an"] } }), "pro"),
            (json!({ "var": [{ "var": "unset" }, "else"] }), "[object Object]"),
            (json!({ "var": "text.length" }), "null"),
            (json!({ "var": "text.0" }), "null"),
            (json!({ "var": "user.constructor" }), "null"),
            (
                json!({ "missing": ["plan", "unset", "null", "user.no"] }),
                "unset,user.no",
            ),
            (json!({ "missing": "unset" }), "unset"),
            (json!({ "missing": { "merge": [["plan"], "unset"] } }), "unset"),
            (json!({ "missing": ["plan"] }), ""),
            (json!({ "missing_some": [1, ["plan", "unset"]] }), ""),
            (json!({ "missing_some": [2, ["plan", "unset", "no"]] }), "unset,no"),
        ],
    );
}

#[test]
fn logic_gives_values() {
    check(
        &json!({ "empty": {}, "full": { "a": 1 } }),
        &[
            (json!({ "if": [true, "then", "else"] }), "then"),
            (json!({ "if": [0, "then", "else"] }), "else"),
            (json!({ "if": ["", "then"] }), "null"),
            (json!({ "if": [[], 1, [0], 2, 3] }), "2"),
            (
                json!({ "if": [{ "var": "empty" }, "then", { "var": "full" }, "full"] }),
                "full",
            ),
            (json!({ "if": [true, "then", { "/": [1, 0] }] }), "then"),
            (json!({ "and": [1, "last"] }), "last"),
            (json!({ "and": [1, 0, { "/": [1, 0] }] }), "0"),
            (json!({ "or": [0, "first", { "/": [1, 0] }] }), "first"),
            (json!({ "or": [0, ""] }), ""),
            (json!({ "!": [[]] }), "true"),
            (json!({ "!": "x" }), "false"),
            (json!({ "!!": ["0"] }), "true"),
            (json!({ "!!": [{ "var": "empty" }] }), "false"),
        ],
    );
}

#[test]
fn comparisons_take_texts_by_letters_and_the_rest_as_numbers() {
    let context = json!({ "object": {}, "list": [1] });
    check(
        &context,
        &[
            (json!({ "==": [1, "1"] }), "true"),
            (json!({ "==": [true, 1] }), "true"),
            (json!({ "==": [null, 0] }), "true"),
            (json!({ "==": [null, ""] }), "false"),
            (json!({ "==": ["a", "b"] }), "false"),
            (json!({ "==": ["a", 1] }), "PARSE_ERROR"),
            (json!({ "==": [{ "var": "object" }, 1] }), "PARSE_ERROR"),
            (json!({ "==": [{ "var": "list" }, { "var": "list" }] }), "PARSE_ERROR"),
            (json!({ "!=": [1, "1.0"] }), "false"),
            (json!({ "===": [1, "1"] }), "false"),
            (json!({ "===": [1, 1.0] }), "true"),
            (json!({ "===": [{ "var": "list" }, { "var": "list" }] }), "true"),
            (json!({ "===": [[1], [1]] }), "false"),
            (json!({ "===": [[], []] }), "false"),
            (json!({ "!==": [null, 0] }), "true"),
            (json!({ "<": ["10", "9"] }), "true"),
            (json!({ "<": ["10", 9] }), "false"),
            (json!({ "<": ["\u{e000}", "😀"] }), "false"),
            (json!({ "<": [1, 2, 3] }), "true"),
            (json!({ "<": [1, 3, 3] }), "false"),
            (json!({ "<=": [1, 3, 3] }), "true"),
            (json!({ "<": [2, 1, { "/": [1, 0] }] }), "false"),
            (json!({ ">": [null, -1] }), "true"),
            (json!({ ">=": [null, "abc"] }), "false"),
            (json!({ ">=": ["a", "a"] }), "true"),
        ],
    );
}

#[test]
fn arithmetic_takes_what_is_a_number() {
    check(
        &json!({ "text": "abc", "three": "3", "list": [1, 2] }),
        &[
            (json!({ "+": [1, "2", true, null] }), "4"),
            (json!({ "+": ["5"] }), "5"),
            (json!({ "+": [0.1, 0.2] }), "0.30000000000000004"),
            (json!({ "-": [1] }), "-1"),
            (json!({ "-": [10, { "var": "three" }, 2] }), "5"),
            (json!({ "*": [2, 3, 4] }), "24"),
            (json!({ "/": [7, 2] }), "3.5"),
            (json!({ "/": [7, 0] }), "PARSE_ERROR"),
            (json!({ "%": [7, 4] }), "3"),
            (json!({ "%": [-7, 4] }), "-3"),
            (json!({ "%": [7, 0] }), "PARSE_ERROR"),
            (json!({ "+": [1, { "var": "text" }] }), "PARSE_ERROR"),
            (json!({ "+": [1, { "var": "list" }] }), "PARSE_ERROR"),
            (json!({ "max": [1, 3, 2] }), "3"),
            (json!({ "min": [1, 3, -2] }), "-2"),
            (json!({ "max": [1, { "var": "three" }] }), "PARSE_ERROR"),
        ],
    );
}

#[test]
fn lists_are_walked_item_by_item() {
    let context = json!({ "n": [1, 2, 3], "items": [{ "qty": 1 }, { "qty": 2 }], "text": "abc", "targetingKey": "u" });
    check(
        &context,
        &[
            (json!({ "map": [{ "var": "n" }, { "*": [{ "var": "" }, 2] }] }), "2,4,6"),
            (json!({ "map": [{ "var": "unset" }, 1] }), ""),
            (json!({ "map": [{ "var": "text" }, 1] }), "PARSE_ERROR"),
            (
                json!({ "filter": [{ "var": "n" }, { ">": [{ "var": "" }, 1] }] }),
                "2,3",
            ),
            (
                json!({ "all": [{ "var": "items" }, { ">": [{ "var": "qty" }, 0] }] }),
                "true",
            ),
            (json!({ "all": [[], true] }), "false"),
            (json!({ "all": [{ "var": "unset" }, true] }), "false"),
            (
                json!({ "some": [{ "var": "items" }, { "==": [{ "var": "qty" }, 2] }] }),
                "true",
            ),
            (json!({ "some": [[], true] }), "false"),
            (
                json!({ "none": [{ "var": "items" }, { "==": [{ "var": "qty" }, 3] }] }),
                "true",
            ),
            (json!({ "none": [[], true] }), "true"),
            (
                json!({ "reduce": [{ "var": "n" }, { "+": [{ "var": "accumulator" }, { "var": "current" }] }, 10] }),
                "16",
            ),
            (
                json!({ "reduce": [{ "var": "n" }, { "+": [{ "var": "accumulator" }, { "var": "current" }] }] }),
                "6",
            ),
            (json!({ "reduce": [[], 1] }), "PARSE_ERROR"),
            (
                json!({ "reduce": [{ "var": "n" }, [{ "var": "accumulator" }], 1] }),
                "PARSE_ERROR",
            ),
            (json!({ "merge": [1, [2, 3], [[4]]] }), "1,2,3,4"),
            (json!({ "in": [2, { "var": "n" }] }), "true"),
            (json!({ "in": ["2", { "var": "n" }] }), "false"),
            (json!({ "in": ["b", "abc"] }), "true"),
            (json!({ "in": [null, "a null"] }), "true"),
            (json!({ "in": ["", ""] }), "false"),
            (json!({ "in": ["x", { "var": "unset" }] }), "false"),
            (json!({ "in": ["x", 5] }), "PARSE_ERROR"),
            // flagd's operators know the flag and the context inside of lists too.
            (
                json!({ "map": [["a"], { "starts_with": [{ "var": "" }, "a"] }] }),
                "true",
            ),
            (json!({ "map": [["a"], { "fractional": [[{ "var": "" }, 1]] }] }), "a"),
        ],
    );
}

#[test]
fn texts_are_joined_cut_and_compared() {
    let context = json!({ "email": "ana@example.com", "smile": "x😀y" });
    check(
        &context,
        &[
            (
                json!({ "cat": ["a", 1, true, null, 1.5, [1, null, 2]] }),
                "a1true1.51,,2",
            ),
            (json!({ "substr": ["jsonlogic", 4] }), "logic"),
            (json!({ "substr": ["jsonlogic", -5] }), "logic"),
            (json!({ "substr": ["jsonlogic", 1, 3] }), "son"),
            (json!({ "substr": ["jsonlogic", 4, -2] }), "log"),
            (json!({ "substr": ["jsonlogic", -50, 4] }), "json"),
            (json!({ "substr": ["jsonlogic", 4, -20] }), ""),
            (json!({ "substr": [{ "var": "smile" }, 0, 2] }), "x\u{fffd}"),
            (json!({ "substr": [{ "var": "smile" }, 1, 2] }), "😀"),
            (json!({ "substr": [123, 1] }), "PARSE_ERROR"),
            (json!({ "starts_with": [{ "var": "email" }, "ana"] }), "true"),
            (json!({ "starts_with": [{ "var": "email" }, "Ana"] }), "false"),
            (json!({ "ends_with": [{ "var": "email" }, "@example.com"] }), "true"),
            (json!({ "ends_with": [{ "var": "unset" }, "x"] }), "null"),
            (json!({ "starts_with": [12, "1"] }), "null"),
        ],
    );
}

#[test]
fn versions_compare_as_semver_says() {
    let holds = [
        ("1.2.3", "=", "1.2.3"),
        ("v1.2.3", "=", "V1.2.3"),
        ("1", "=", "1.0.0"),
        ("1.2", "=", "1.2.0"),
        ("1.0.0", "!=", "1.0.1"),
        ("1.0.0-alpha", "<", "1.0.0"),
        ("1.0.0-alpha.2", "<", "1.0.0-alpha.10"),
        ("1.0.0-2", "<", "1.0.0-alpha"),
        ("1.0.0+a", "=", "1.0.0+b"),
        ("2.0.0", "<=", "2.0.0"),
        ("10.0.0", ">", "9.9.9"),
        ("2.1.0", ">=", "2.1.0-rc.1"),
        ("1.9.0", "^", "1.0.0"),
        ("1.2.9", "~", "1.2.0"),
    ];
    for (one, operator, two) in holds {
        assert_eq!(
            given(&json!({ "sem_ver": [one, operator, two] }), &json!({})),
            "true",
            "{one} {operator} {two}"
        );
    }
    for (one, operator, two) in [
        ("2.0.0", "^", "1.0.0"),
        ("1.3.0", "~", "1.2.0"),
        ("1.0.0", "<", "1.0.0-rc.1"),
    ] {
        assert_eq!(
            given(&json!({ "sem_ver": [one, operator, two] }), &json!({})),
            "false",
            "{one} {operator} {two}"
        );
    }
    for none in [
        "2.0.0.0",
        "abc",
        "",
        "1.",
        "01.0.0",
        "1.0.0-01",
        "9007199254740992.0.0",
        "myVersion_1",
    ] {
        assert_eq!(
            given(&json!({ "sem_ver": [none, "=", "1.0.0"] }), &json!({})),
            "null",
            "{none}"
        );
    }
    assert_eq!(given(&json!({ "sem_ver": [1.5, "=", "1.5.0"] }), &json!({})), "true");
    assert_eq!(
        given(&json!({ "sem_ver": ["1", { "cat": ["=", "="] }, "1"] }), &json!({})),
        "null"
    );
}
