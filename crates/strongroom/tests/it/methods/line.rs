//! The command line, which logs in by each method.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use serde_json::{Value, json};

use super::people::{company, id_token};
use super::{Stage, role, stage};
use crate::harness::{On, command, run};
use crate::issuer::{AUDIENCE, percent};

pub(super) struct Shell {
    address: String,
    home: String,
}

impl Shell {
    pub(super) fn of(stage: &Stage) -> Self {
        Self {
            address: stage.server.address(),
            home: stage.store.dir.path().to_str().unwrap().to_owned(),
        }
    }

    pub(super) fn environment<'e>(&'e self, more: &[(&'e str, &'e str)]) -> Vec<(&'e str, &'e str)> {
        [
            &[("STRONGROOM_ADDR", self.address.as_str()), ("HOME", &self.home)],
            more,
        ]
        .concat()
    }

    pub(super) fn run(&self, more: &[(&str, &str)], args: &[&str], stdin: &[u8]) -> (i32, String, String) {
        let (code, stdout, stderr) = run(args, &self.environment(more), stdin);
        (code, String::from_utf8(stdout).unwrap(), stderr)
    }

    pub(super) fn whoami(&self) -> Value {
        let (code, stdout, stderr) = self.run(&[], &["whoami", "-o", "json"], b"");
        assert_eq!(code, 0, "{stderr}");
        serde_json::from_str(&stdout).unwrap()
    }
}

async fn a_token_from_a_file(on: On) {
    let stage = stage(on).await;
    let (shell, token) = (Shell::of(&stage), stage.issuer.token(&json!({})));
    let login = ["login", "--method", "ci", "--role", "deploy", "--token-file", "-"];
    let (code, _, stderr) = shell.run(&[], &login, format!("{token}\n").as_bytes());
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(shell.whoami()["method"], "ci");
    assert_eq!(shell.run(&[], &["get", "app/key"], b"").1, "s3cr3t");
    let wrong = ["login", "--method", "ci", "--role", "other", "--token-file", "-"];
    assert_eq!(shell.run(&[], &wrong, token.as_bytes()).0, 4);
    let curl = ["login", "--method", "ci", "--role", "deploy", "--show-curl"];
    let (code, shown, _) = shell.run(&[], &curl, b"");
    assert!(code == 0 && shown.contains("/auth/ci/login"), "{shown}");
    stage.server.terminate();
}

async fn where_others_vouch_it_logs_in_by_itself(on: On) {
    let stage = stage(on).await;
    let (shell, issuer) = (Shell::of(&stage), &stage.issuer);
    // A job of GitHub Actions, which asks for a token for this server.
    let github =
        json!({ "type": "jwt", "issuer": issuer.url, "preset": "github-actions", "audiences": [shell.address] });
    stage.root.written("methods/github", github).await;
    let claims = json!({ "repository_id": "7", "ref": "refs/heads/main" });
    stage.root.written("roles/job", role("github", &claims)).await;
    let mut told = json!({ "aud": shell.address, "event_name": "push", "sub": "repo:o/r:ref:refs/heads/main" });
    told.as_object_mut()
        .unwrap()
        .extend(claims.as_object().unwrap().clone());
    *issuer.seen.job.lock().unwrap() = issuer.token(&told);
    let url = format!("{}/job?api-version=2.0", issuer.url);
    let job = [
        ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-this-job"),
        ("STRONGROOM_ROLE", "job"),
    ];
    let (code, value, stderr) = shell.run(&job, &["--verbose", "get", "app/key"], b"");
    assert_eq!((code, value.as_str()), (0, "s3cr3t"), "{stderr}");
    assert!(
        stderr.contains("GitHub Actions") && stderr.contains("job") && stderr.contains("github"),
        "{stderr}"
    );
    let asked = issuer.seen.asked_by_job.lock().unwrap().clone();
    assert!(asked.starts_with("/job?api-version=2.0&audience=http"), "{asked}");
    let (code, output, stderr) = shell.run(&job, &["run", "app/key", "--", "printenv", "key"], b"");
    assert!(code == 0 || !stderr.is_empty(), "{code} {output} {stderr}");
    told["event_name"] = json!("pull_request");
    *issuer.seen.job.lock().unwrap() = issuer.token(&told);
    assert_eq!(
        shell.run(&job, &["get", "app/key"], b"").0,
        4,
        "a pull request's job stays outside"
    );
    // A pod, by the file of its service account.
    let cluster = json!({ "type": "kubernetes", "issuer": issuer.url, "audiences": [AUDIENCE] });
    stage.root.written("methods/kubernetes", cluster).await;
    let bounds = json!({ "method": "kubernetes", "service_accounts": [{ "namespace": "shop", "name": "app" }] });
    stage
        .root
        .written("roles/pod", json!({ "policies": ["app"], "bounds": bounds }))
        .await;
    let account = issuer.token(&json!({
        "sub": "system:serviceaccount:shop:app",
        "kubernetes.io": { "namespace": "shop", "serviceaccount": { "name": "app", "uid": "u" } },
    }));
    let file = stage.store.dir.path().join("account");
    std::fs::write(&file, format!("{account}\n")).unwrap();
    let pod = [
        ("STRONGROOM_SERVICE_ACCOUNT_FILE", file.to_str().unwrap()),
        ("STRONGROOM_ROLE", "pod"),
    ];
    let (code, value, stderr) = shell.run(&pod, &["-v", "get", "app/key"], b"");
    assert!(
        (code, value.as_str()) == (0, "s3cr3t") && stderr.contains("Kubernetes"),
        "{stderr}"
    );
    let (code, _, stderr) = shell.run(&[("STRONGROOM_ROLE", "pod")], &["get", "app/key"], b"");
    assert!(code == 1 && stderr.contains("vouches"), "{code} {stderr}");
    stage.server.terminate();
}

async fn a_person_with_a_browser(on: On) {
    let stage = stage(on).await;
    company(&stage).await;
    let (shell, issuer) = (Shell::of(&stage), &stage.issuer);
    let mut child = command(&["login", "--method", "company"], &shell.environment(&[]))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.trim_start().starts_with("http") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended without an address");
    }
    let url = line.trim().to_owned();
    let field = |name: &str| {
        let found = url
            .split(['?', '&'])
            .find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        percent(found.unwrap_or_else(|| panic!("no {name} in {url}")))
    };
    let back = field("redirect_uri");
    let fields = json!({
        "code_challenge": field("code_challenge"), "redirect_uri": back, "client_id": "strongroom",
        "client_secret": "client-secret",
    });
    issuer.code("good", fields, id_token(issuer, &field("nonce"), &json!({})));
    let http = &stage.root.http;
    let status = async |query: &[(&str, &str)]| http.get(&back).query(query).send().await.unwrap().status().as_u16();
    assert_eq!(
        status(&[("code", "evil"), ("state", "other")]).await,
        404,
        "another's state"
    );
    assert_eq!(status(&[("code", "good"), ("state", &field("state"))]).await, 200);
    let done = tokio::task::spawn_blocking(move || {
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).unwrap();
        (child.wait().unwrap().code(), rest)
    });
    let (code, rest) = done.await.unwrap();
    assert_eq!(code, Some(0), "{rest}");
    let me = shell.whoami();
    assert_eq!(
        (&me["name"], &me["method"], &me["kind"]),
        (&json!("ada@company"), &json!("company"), &json!("operator"))
    );
    assert_eq!(shell.run(&[], &["logout"], b"").0, 0);
    stage.server.terminate();
}

async fn methods_and_bounds_from_files(on: On) {
    let stage = stage(on).await;
    let shell = Shell::of(&stage);
    let token = stage.root.token.clone().unwrap();
    let root = [("STRONGROOM_TOKEN", token.as_str())];
    let method = json!({ "type": "oidc", "issuer": stage.issuer.url, "client_id": "c" }).to_string();
    let secret = stage.store.dir.path().join("secret");
    std::fs::write(&secret, "of-the-client").unwrap();
    let put = [
        "method",
        "put",
        "people",
        "-",
        "--secret-file",
        secret.to_str().unwrap(),
    ];
    let (code, shown, stderr) = shell.run(&root, &put, method.as_bytes());
    assert!(
        code == 0 && shown.contains("oidc") && !shown.contains("of-the-client"),
        "{stderr}"
    );
    let (_, list, _) = shell.run(&root, &["method", "list"], b"");
    assert!(
        ["ci", "client", "password", "people"]
            .iter()
            .all(|name| list.contains(name)),
        "{list}"
    );
    let (_, json, _) = shell.run(&root, &["method", "get", "people", "-o", "json"], b"");
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["has_secret"], true);
    assert_eq!(shell.run(&root, &["method", "delete", "people"], b"").0, 0);
    assert_eq!(shell.run(&root, &["method", "get", "people"], b"").0, 3);
    let bounds = json!({ "method": "ci", "claims": { "sub": "build" } }).to_string();
    let put = ["role", "put", "bound", "--policy", "app", "--bounds", "-"];
    let (code, shown, stderr) = shell.run(&root, &put, bounds.as_bytes());
    assert!(code == 0 && shown.contains("ci"), "{stderr}");
    stage.server.terminate();
}

on_both_stores!(
    a_token_from_a_file,
    where_others_vouch_it_logs_in_by_itself,
    a_person_with_a_browser,
    methods_and_bounds_from_files,
);
