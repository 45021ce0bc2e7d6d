//! What docs/FLAGS.md shows.

use serde_json::{Value, json};
use strongroom_flags::{Definition, Evaluators, parse_flagd};

const PAGE: &str = include_str!("../../../../docs/FLAGS.md");

/// They run in scripts/test-openfeature.sh.
#[test]
fn the_programs_in_the_page_are_those_that_run() {
    for (language, program) in [
        ("js", include_str!("../../../../tests/clients/openfeature/flags.mjs")),
        ("python", include_str!("../../../../tests/clients/openfeature/flags.py")),
        ("jsx", include_str!("../../../../tests/clients/openfeature/page.jsx")),
    ] {
        let block = format!("```{language}\n{program}```\n");
        assert!(PAGE.contains(&block), "docs/FLAGS.md does not show this:\n{block}");
    }
}

#[test]
fn every_definition_in_the_page_is_one() {
    let blocks = PAGE
        .split("```json\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    let shown: Vec<Value> = blocks.map(|block| serde_json::from_str(block).unwrap()).collect();
    let mut seen = [0; 3];
    for json in shown {
        if json["flags"].is_object() {
            parse_flagd(&json).unwrap();
            seen[0] += 1;
        } else if json["variants"].is_object() {
            Definition::parse(&json, &Evaluators::default()).unwrap();
            seen[1] += 1;
        } else if json["fractional"].is_array() {
            let flag = json!({ "state": "ENABLED", "variants": { "on": true, "off": false }, "targeting": json });
            Definition::parse(&flag, &Evaluators::default()).unwrap();
            seen[2] += 1;
        }
    }
    assert!(
        seen.iter().all(|count| *count > 0),
        "sets, definitions and rules: {seen:?}"
    );
}
