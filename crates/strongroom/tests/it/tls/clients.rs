//! Clients that show a certificate, and those that do not.

use super::{metric, settings, url};
use crate::authority::Authority;
use crate::harness::{On, Server, Store, run};

struct Asked {
    store: Store,
    server: Server,
    /// The server's, and the one that its clients' certificates come from.
    authority: Authority,
    clients: Authority,
}

impl Asked {
    fn new(mode: &str) -> Self {
        let store = Store::fresh(On::Sqlite);
        let (authority, clients) = (Authority::new("server"), Authority::new("clients"));
        let pair = authority.server().write(store.dir.path(), "server");
        let ca = store.dir.path().join("clients.pem");
        std::fs::write(&ca, &clients.pem).unwrap();
        let mut settings = settings(&pair);
        settings.push(("STRONGROOM_TLS_CLIENT_CERTIFICATES", mode));
        settings.push(("STRONGROOM_TLS_CLIENT_CA_FILE", ca.to_str().unwrap()));
        let server = store.dev(&settings);
        Self {
            store,
            server,
            authority,
            clients,
        }
    }

    /// Whether an answer comes for who shows a certificate from this CA, or none.
    async fn answered(&self, from: Option<&Authority>) -> bool {
        let shown = from.map(|authority| authority.issue(&["client"]));
        let http = self.authority.http(shown.as_ref());
        let answer = http.get(url(&self.server, "/health")).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn required_ones_let_in_and_nobody_else() {
    let asked = Asked::new("required");
    assert!(asked.answered(Some(&asked.clients)).await);
    assert!(!asked.answered(None).await, "without one");
    assert!(
        !asked.answered(Some(&Authority::new("clients"))).await,
        "from a CA of the same name"
    );
    assert!(
        !asked.answered(Some(&asked.authority)).await,
        "from the server's own CA"
    );
    let late = asked.clients.issue_with(&["client"], |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let http = asked.authority.http(Some(&late));
    assert!(
        http.get(url(&asked.server, "/health")).send().await.is_err(),
        "that has ended"
    );
    let shown = asked.clients.issue(&["client"]);
    let http = asked.authority.http(Some(&shown));
    assert!(metric(&http, &asked.server, "strongroom_tls_handshake_failures_total").await >= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn optional_ones_are_checked_where_shown() {
    let asked = Asked::new("optional");
    assert!(asked.answered(Some(&asked.clients)).await);
    assert!(asked.answered(None).await);
    assert!(!asked.answered(Some(&Authority::new("clients"))).await);
}

#[test]
fn the_command_line_shows_one() {
    let asked = Asked::new("required");
    let folder = asked.store.dir.path();
    let [certificate, key] = asked.clients.issue(&["client"]).write(folder, "shown");
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, &asked.authority.pem).unwrap();
    let (addr, token) = (url(&asked.server, ""), asked.store.root_token());
    let environment = [
        ("STRONGROOM_ADDR", addr.as_str()),
        ("STRONGROOM_TOKEN", &token),
        ("STRONGROOM_CACERT", ca.to_str().unwrap()),
        ("STRONGROOM_CLIENT_CERT_FILE", certificate.to_str().unwrap()),
        ("STRONGROOM_CLIENT_KEY_FILE", key.to_str().unwrap()),
    ];
    let (code, _, stderr) = run(&["whoami"], &environment, b"");
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = run(&["whoami"], &environment[..3], b"");
    assert_eq!(code, 2, "without one: {stderr}");
    let (code, _, stderr) = run(&["whoami"], &environment[..4], b"");
    assert_eq!(code, 1, "half of it is a mistake: {stderr}");
    let swapped = [
        environment[0],
        environment[1],
        environment[2],
        ("STRONGROOM_CLIENT_CERT_FILE", key.to_str().unwrap()),
        environment[4],
    ];
    let (code, _, stderr) = run(&["whoami"], &swapped, b"");
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("not a pair in PEM"), "{stderr}");
}
