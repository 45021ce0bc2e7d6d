//! A backup goes up to a newer program, and not down to one that cannot read its rows.

use super::{On, Program, Site, Store, Today, Tomorrow};

/// An empty store of that program, for what the site's root key opens.
fn empty(site: &Site, program: Program) -> Site {
    let store = Store::fresh(site.store.on);
    std::fs::create_dir(store.data_dir()).unwrap();
    std::fs::copy(site.store.root_key_file(), store.root_key_file()).unwrap();
    let mut empty = Site {
        store,
        running: std::collections::BTreeMap::new(),
        values: site.values.clone(),
        allowed: site.allowed,
        workload: site.workload.clone(),
    };
    empty.ok(program, &["migrate", "up"]);
    empty
}

async fn a_backup_goes_up_and_not_down(on: On) {
    let mut site = Site::begun(on).await;
    site.write(Today, "a/first", "one").await;
    let file = |name: &str| site.store.dir.path().join(name).to_str().unwrap().to_owned();
    let (of_today, of_tomorrow) = (file("today.backup"), file("tomorrow.backup"));
    site.ok(Today, &["operator", "backup", &of_today]);

    let mut newer = empty(&site, Tomorrow);
    newer.ok(Tomorrow, &["operator", "restore", &of_today]);
    newer.ok(Tomorrow, &["migrate", "finish"]);
    let token = newer.store.data_dir().join("root-token");
    newer.ok(
        Tomorrow,
        &["operator", "recover-admin", "--token-file", token.to_str().unwrap()],
    );
    let api = newer.node(Tomorrow);
    let value = serde_json::json!({ "value": "two" });
    assert_eq!(api.put("secrets/a/second", value).await.0, 201);
    newer.ok(Tomorrow, &["operator", "backup", &of_tomorrow]);
    assert!(newer.rows("record", "format = 2").await > 0);
    let whole = newer.ok(Tomorrow, &["operator", "backup", "verify", &of_tomorrow]);
    assert!(whole.contains("It is whole"), "{whole}");

    let mut older = empty(&site, Today);
    for verb in [&["operator", "backup", "verify"][..], &["operator", "restore"]] {
        let (code, text) = older.run(Today, &[verb, &[of_tomorrow.as_str()]].concat());
        assert!(code == 6 && text.contains("newer program"), "{code} {text}");
    }
    // What was finished stays so where it is restored, on a schema that took older programs.
    let mut again = empty(&site, Tomorrow);
    again.ok(Tomorrow, &["operator", "restore", &of_tomorrow]);
    let (code, text) = again.run(Today, &["server"]);
    assert!(code == 2 && text.contains("too old"), "{code} {text}");
}

on_both_stores!(a_backup_goes_up_and_not_down);
