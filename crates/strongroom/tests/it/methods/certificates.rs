//! Workloads with client certificates, over real TLS.

use rcgen::{CertificateParams, DnType, SanType};
use serde_json::{Value, json};

use crate::authority::{Authority, Pair};
use crate::harness::{Api, On, Server, Store, run};
use crate::tls::{settings, url};

const SPIFFE: &str = "spiffe://example.org/ns/shop/sa/app";

struct Asked {
    store: Store,
    server: Server,
    authority: Authority,
    clients: Authority,
}

impl Asked {
    fn api(&self, shown: Option<&Pair>) -> Api {
        Api {
            http: self.authority.http(shown),
            address: url(&self.server, ""),
            token: Some(self.store.root_token()),
        }
    }

    fn app(&self, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        self.clients.issue_with(&["app.test"], |params| {
            params.distinguished_name.push(DnType::CommonName, "app");
            params.subject_alt_names.push(SanType::URI(SPIFFE.try_into().unwrap()));
            change(params);
        })
    }
}

fn asked(on: On, believed: &[&Authority], clients: Authority, authority: Authority) -> Asked {
    let store = Store::fresh(on);
    let pair = authority.server().write(store.dir.path(), "server");
    let ca = store.dir.path().join("clients.pem");
    let all = believed.iter().map(|authority| authority.pem.as_str());
    std::fs::write(&ca, all.chain([clients.pem.as_str()]).collect::<String>()).unwrap();
    let mut settings = settings(&pair);
    settings.push(("STRONGROOM_TLS_CLIENT_CERTIFICATES", "optional"));
    settings.push(("STRONGROOM_TLS_CLIENT_CA_FILE", ca.to_str().unwrap()));
    let server = store.dev(&settings);
    Asked {
        store,
        server,
        authority,
        clients,
    }
}

async fn a_certificate_logs_in(on: On) {
    // The edge believes both; the method one of them.
    let others = Authority::new("others");
    let asked = asked(on, &[&others], Authority::new("clients"), Authority::new("server"));
    let root = asked.api(None);
    let rules = json!({ "rules": [{ "path": "secret/app/*", "capabilities": ["read"] }] });
    root.written("policies/app", rules).await;
    assert_eq!(root.put("secrets/app/key", json!({ "value": "s3cr3t" })).await.0, 201);
    let method = json!({ "type": "cert", "ca_pem": asked.clients.pem });
    root.written("methods/mesh", method).await;
    let bound = |bounds: Value| json!({ "policies": ["app"], "bounds": bounds });
    root.written("roles/app", bound(json!({ "method": "mesh", "spiffe_ids": [SPIFFE] })))
        .await;
    root.written(
        "roles/named",
        bound(json!({ "method": "mesh", "common_names": ["app"], "dns_names": ["app.test"] })),
    )
    .await;
    root.written(
        "roles/other",
        bound(json!({ "method": "mesh", "spiffe_ids": ["spiffe://example.org/other"] })),
    )
    .await;
    let app = asked.app(|_| {});
    let api = asked.api(Some(&app));
    let login = |role: &str| json!({ "role": role });
    let job = api.as_vouched("mesh", login("app")).await;
    assert_eq!(job.get("secrets/app/key").await.1["value"], "s3cr3t");
    assert_eq!(job.get("auth/whoami").await.1["name"], format!("{SPIFFE}@mesh"));
    assert_eq!(api.login_by("mesh", login("named")).await.0, 200);
    assert_eq!(api.login_by("mesh", login("other")).await.0, 401);
    assert_eq!(
        asked.api(None).login_by("mesh", login("app")).await.0,
        401,
        "without a certificate"
    );
    let foreign = others.issue_with(&["app.test"], |params| {
        params.subject_alt_names.push(SanType::URI(SPIFFE.try_into().unwrap()));
    });
    assert_eq!(
        asked.api(Some(&foreign)).login_by("mesh", login("app")).await.0,
        401,
        "of another authority"
    );
    let two = asked.app(|params| {
        params
            .subject_alt_names
            .push(SanType::URI("spiffe://example.org/other".try_into().unwrap()));
    });
    for role in ["app", "other"] {
        assert_eq!(
            asked.api(Some(&two)).login_by("mesh", login(role)).await.0,
            401,
            "two ids are none"
        );
    }
    // The same workload with another certificate is the same principal.
    let renewed = asked.app(|_| {});
    let renewed = asked.api(Some(&renewed)).as_vouched("mesh", login("app")).await;
    let principal = |me: (u16, Value)| me.1["principal"].clone();
    assert_eq!(
        principal(renewed.get("auth/whoami").await),
        principal(job.get("auth/whoami").await)
    );
    command_line(&asked, &app);
    asked.server.terminate();
}

fn command_line(asked: &Asked, app: &Pair) {
    let folder = asked.store.dir.path();
    let [certificate, key] = app.write(folder, "app");
    let ca = folder.join("server-ca.pem");
    std::fs::write(&ca, &asked.authority.pem).unwrap();
    let address = url(&asked.server, "");
    let environment = [
        ("STRONGROOM_ADDR", address.as_str()),
        ("STRONGROOM_CACERT", ca.to_str().unwrap()),
        ("STRONGROOM_CLIENT_CERT_FILE", certificate.to_str().unwrap()),
        ("STRONGROOM_CLIENT_KEY_FILE", key.to_str().unwrap()),
        ("HOME", folder.to_str().unwrap()),
    ];
    let (code, _, stderr) = run(&["login", "--method", "mesh", "--role", "app"], &environment, b"");
    assert_eq!(code, 0, "{stderr}");
    let (code, value, stderr) = run(&["get", "app/key"], &environment, b"");
    assert_eq!((code, value.as_slice()), (0, b"s3cr3t".as_slice()), "{stderr}");
}

on_both_stores!(a_certificate_logs_in);
