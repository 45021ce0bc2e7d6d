//! Promise 3: no plaintext of a secret, token or key in files, logs, errors, metrics or audit records.

mod routes;
mod scan;

use data_encoding::HEXLOWER;
use strongroom_testkit::{Cluster, run_sql, scale};

use crate::harness::{Api, On, Store, run};
use crate::sql::dump;
use routes::Canaries;
use scan::Scanner;

const VALUES: f64 = 1000.0;

async fn audit(root: &Api) -> Vec<u8> {
    let (mut text, mut cursor) = (String::new(), String::new());
    loop {
        let (status, page) = root.get(&format!("audit?limit=1000{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        text.push_str(&page.to_string());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return text.into_bytes(),
        }
    }
}

fn backup(store: &Store) -> Vec<u8> {
    let file = store.dir.path().join("canaries.backup");
    let (data, key) = (store.data_dir(), store.root_key_file());
    let environment = match &store.url {
        Some(url) => vec![
            ("STRONGROOM_DATABASE_URL", url.as_str()),
            ("STRONGROOM_ROOT_KEY_FILE", key.to_str().unwrap()),
        ],
        None => vec![("STRONGROOM_DATA_DIR", data.to_str().unwrap())],
    };
    let (code, _, stderr) = run(&["operator", "backup", file.to_str().unwrap()], &environment, b"");
    assert_eq!(code, 0, "{stderr}");
    std::fs::read(file).unwrap()
}

async fn no_plaintext(on: On) {
    // The cluster's log too: it shows every statement, with its parameters.
    let cluster = (on == On::Postgres).then(|| Cluster::start_with(&[("log_statement", "all")]));
    let store = match &cluster {
        Some(cluster) => Store::at(cluster.create_database("canaries")),
        None => Store::fresh(on),
    };
    let server = store.dev(&[("STRONGROOM_LOG", "debug")]);
    let root = Api::new(&server, store.root_token());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive number"
    )]
    let mut canaries = Canaries::new(&server, &store, (VALUES * scale()) as usize);
    canaries.send().await;
    canaries.read_back().await;
    let metrics = root
        .http
        .get(server.url("/metrics"))
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let audit = audit(&root).await;
    let backup = backup(&store);
    let log = server.log.clone();
    // Killed, it leaves the WAL as it is.
    server.kill9();

    let root_key = std::fs::read_to_string(store.root_key_file()).unwrap();
    canaries
        .credentials
        .push(HEXLOWER.decode(root_key.trim().as_bytes()).unwrap());
    canaries.credentials.push(store.root_token().into_bytes());
    let credentials = canaries.credentials.iter().map(Vec::as_slice);
    let mut scanner = Scanner::new(credentials.chain([canaries.core.as_bytes()]));
    scanner.scan("the metrics", &metrics);
    scanner.scan("the audit log", &audit);
    scanner.scan("a backup", &backup);
    scanner.scan("the server's log", &std::fs::read(log).unwrap());
    for (place, answer) in &canaries.answers {
        scanner.scan(place, answer);
    }
    scanner.scan_folder(&store.data_dir(), &["root-key", "root-token"]);
    if let (Some(cluster), Some(url)) = (&cluster, &store.url) {
        // Not bound by the limit that stands with the role.
        run_sql(&format!("{url}?options=-cstatement_timeout%3D0"), "CHECKPOINT");
        scanner.scan("pg_dump", &dump(url));
        scanner.scan("PostgreSQL's log", cluster.log().as_bytes());
        scanner.scan_folder(&cluster.data_dir(), &[]);
    }
    println!(
        "{on:?}: values {}, credentials {}, answers {}, files {}, bytes {}, hits {}",
        canaries.sent,
        canaries.credentials.len(),
        canaries.answers.len(),
        scanner.files,
        scanner.bytes,
        scanner.hits.len()
    );
    assert!(
        scanner.hits.is_empty(),
        "{:#?}",
        &scanner.hits[..scanner.hits.len().min(20)]
    );
}

on_both_stores!(no_plaintext);
