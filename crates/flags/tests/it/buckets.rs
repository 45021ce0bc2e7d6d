//! `fractional` against the vectors that flagd publishes, bit for bit.

use serde_json::{Value, json};

use crate::evaluation::evaluate;

/// The variant for this rule and targeting key; nothing where the rule gives null.
fn variant(buckets: &Value, key: Option<&str>) -> Option<String> {
    let definition = json!({
        "state": "ENABLED",
        "variants": { "clubs": 1, "diamonds": 2, "hearts": 3, "spades": 4, "lower": 5, "upper": 6, "true": 7, "1": 8 },
        "targeting": { "fractional": buckets },
    });
    let context = key.map_or_else(|| json!({}), |key| json!({ "targetingKey": key, "name": key }));
    let evaluated = evaluate(&definition, context).outcome.unwrap();
    evaluated.variant.map(|variant| variant.to_string())
}

fn cards(seed: &Value) -> Value {
    json!([seed, ["clubs", 25], ["diamonds", 25], ["hearts", 25], ["spades", 25]])
}

#[test]
fn the_published_vectors_hold() {
    let by_flag = [
        ("jack", "hearts"),
        ("queen", "spades"),
        ("ten", "clubs"),
        ("nine", "diamonds"),
        ("3", "clubs"),
    ];
    for (name, suit) in by_flag {
        let seed = json!({ "cat": ["fractional-flag", { "var": "name" }] });
        assert_eq!(variant(&cards(&seed), Some(name)).as_deref(), Some(suit), "{name}");
    }
    let shared = [
        ("seven", "hearts"),
        ("eight", "diamonds"),
        ("nine", "clubs"),
        ("two", "spades"),
    ];
    for (name, suit) in shared {
        let seed = json!({ "cat": ["shared-seed", { "var": "name" }] });
        assert_eq!(variant(&cards(&seed), Some(name)).as_deref(), Some(suit), "{name}");
    }
}

#[test]
fn the_edges_of_the_hash_fall_on_the_published_side() {
    let edges = [
        ("ejOoVL", "lower"),
        ("bY9fO-", "lower"),
        ("SI7p-", "lower"),
        ("6LvT0", "upper"),
        ("ceQdGm", "upper"),
    ];
    for (seed, half) in edges {
        let halves = json!([{ "var": "name" }, ["lower", 50], ["upper", 50]]);
        assert_eq!(variant(&halves, Some(seed)).as_deref(), Some(half), "{seed}");
    }
}

#[test]
fn without_a_seed_the_flags_key_and_the_targeting_key_are_hashed() {
    let buckets = || json!([["clubs", 25], ["diamonds", 25], ["hearts", 25], ["spades", 25]]);
    for key in ["a", "b", "user-1", "Ünïcøde", "🂡"] {
        let by_hand = cards(&json!({ "cat": [{ "var": "$flagd.flagKey" }, { "var": "targetingKey" }] }));
        let expected = variant(&by_hand, Some(key));
        assert!(expected.is_some());
        assert_eq!(variant(&buckets(), Some(key)), expected);
        assert_eq!(
            variant(&cards(&Value::Null), Some(key)),
            expected,
            "null stands for no seed"
        );
    }
    assert_eq!(variant(&buckets(), None), None);
    assert_eq!(variant(&buckets(), Some("")), None);
    assert_eq!(variant(&cards(&json!({ "var": "unset" })), None), None);
}

#[test]
fn what_is_no_bucket_is_nothing() {
    let computed = |value: Value| json!({ "merge": [value] });
    let one = |bucket: Value| json!([["clubs", 0], bucket]);
    for (buckets, expected) in [
        (json!([["clubs"]]), Some("clubs")),
        (json!([["clubs", 1.0]]), Some("clubs")),
        (json!([[true]]), Some("true")),
        (json!([[1]]), Some("1")),
        (json!([[null]]), None),
        (json!([["clubs", 0]]), None),
        (json!([["clubs", -5], ["spades", 1]]), Some("spades")),
        (json!([["clubs", 2_147_483_647]]), Some("clubs")),
        (json!([["clubs", { "+": [2_147_483_647, 1] }]]), None),
        (json!([["clubs", { "+": [1, 0.5] }]]), None),
        (json!([["clubs", { "cat": ["1"] }]]), None),
        (one(computed(json!([]))), None),
        (one(computed(json!(["spades", 1, 1]))), None),
        (one(computed(json!(["spades", 1]))), Some("spades")),
        (one(json!({ "cat": ["spades"] })), None),
        (json!([{ "+": [1, 1] }, ["clubs"]]), None),
        (json!(["seed only"]), None),
        (
            json!([[{ "if": [{ "var": "name" }, "hearts", "clubs"] }, 1]]),
            Some("hearts"),
        ),
    ] {
        assert_eq!(variant(&buckets, Some("key")).as_deref(), expected, "{buckets}");
    }
}

#[test]
fn a_rollout_that_grows_lets_nobody_go_and_is_as_large_as_it_says() {
    let on = |percent: u32, key: &str| {
        let buckets = json!([["lower", percent], ["upper", 100 - percent]]);
        variant(&buckets, Some(key)).as_deref() == Some("lower")
    };
    let keys: Vec<_> = (0..4_000).map(|number| format!("user-{number}")).collect();
    let mut before: Vec<bool> = vec![false; keys.len()];
    for percent in [0, 1, 10, 25, 50, 90, 100] {
        let now: Vec<_> = keys.iter().map(|key| on(percent, key)).collect();
        assert!(
            before.iter().zip(&now).all(|(before, now)| !before || *now),
            "somebody left at {percent} %"
        );
        let share = now.iter().filter(|on| **on).count() * 100 / keys.len();
        assert!(share.abs_diff(percent as usize) <= 2, "{share} of {percent} %");
        before = now;
    }
}
