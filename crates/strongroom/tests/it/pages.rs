//! Listings of what the caller may see only a part of.

use serde_json::{Value, json};

use crate::harness::{Api, On, Store};

/// Whoever sees the first only, by pages of one: the last page is empty, and no denial.
async fn a_full_page_is_followed_by_one_and_not_by_a_denial(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    let definition = json!({ "state": "ENABLED", "variants": { "on": true }, "defaultVariant": "on" });
    for name in ["a", "b"] {
        for (path, body) in [
            (format!("secrets/{name}/x"), json!({ "value": "v" })),
            (
                format!("rotation/{name}/x"),
                json!({ "rotator": "generate", "interval": "1h" }),
            ),
            (format!("flags/{name}/x/k"), json!({ "definition": definition })),
        ] {
            let (status, answer) = root.put(&path, body).await;
            assert!(matches!(status, 200 | 201), "{path}: {answer}");
        }
    }
    let rule = |path: &str| json!([{ "path": path, "capabilities": ["list", "read"] }]);
    let both = json!([rule("secret/a/*")[0], rule("flag/a/*")[0]]);
    let part = root.with_token(root.workload("part", both).await);
    let none = root.with_token(root.workload("none", rule("lease/x")).await);
    for (noun, listing) in [
        ("list", "list?recursive=true&limit=1"),
        ("rotation", "rotation?limit=1"),
        ("flag-sets", "flag-sets?limit=1"),
    ] {
        let (mut path, mut seen) = (listing.to_owned(), 0);
        loop {
            let (status, page) = part.get(&path).await;
            assert_eq!(status, 200, "{path}: {page}");
            seen += page["items"].as_array().map_or(0, Vec::len);
            let Value::String(next) = &page["next_cursor"] else {
                break;
            };
            path = format!("{listing}&cursor={next}");
        }
        assert_eq!(seen, 1, "{listing}");
        assert_eq!(none.get(noun).await.0, 403, "{noun}");
    }
}

on_both_stores! { a_full_page_is_followed_by_one_and_not_by_a_denial }
