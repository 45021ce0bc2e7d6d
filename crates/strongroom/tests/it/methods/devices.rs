//! People who confirm their login on another device.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use super::line::Shell;
use super::people::{company, token_of_ada};
use super::{Stage, stage};
use crate::asks::{Answer, Ask};
use crate::harness::{Api, On, command};
use crate::identity::races::{AT_ONCE, one_won, rounds};
use crate::issuer::{Issuer, now};

fn nobody(root: &Api) -> Api {
    Api {
        token: None,
        ..root.clone()
    }
}

/// What the start answers.
async fn started(root: &Api) -> Value {
    let (status, started) = nobody(root).post("auth/company/start", json!({})).await;
    assert_eq!(status, 200, "{started}");
    started
}

async fn asked(root: &Api, started: &Value) -> Answer {
    let login = json!({ "device_code": started["device_code"] });
    let nobody = nobody(root);
    Ask::new(&nobody, "POST", "auth/company/login", Some(login))
        .send(&nobody)
        .await
}

/// The issuer gives this token.
fn confirm(issuer: &Issuer, token: &str) {
    issuer.device_says(json!({ "id_token": token, "access_token": "theirs", "token_type": "Bearer" }));
}

async fn a_login_is_confirmed_elsewhere(on: On) {
    let stage = stage(on).await;
    company(&stage).await;
    let (root, issuer) = (&stage.root, &stage.issuer);
    let start = started(root).await;
    assert_eq!(
        (&start["user_code"], &start["expires_in"], &start["interval"]),
        (&json!("CODE-1"), &json!(600), &json!(1)),
        "{start}"
    );
    assert_eq!(start["verification_uri"], format!("{}/confirm", issuer.url));
    assert!(
        !start.to_string().contains("of-the-issuer"),
        "its code stays with us: {start}"
    );
    let sent = issuer.seen.asked_for_device.lock().unwrap()[0].clone();
    let fields = [
        ("client_id", "strongroom"),
        ("client_secret", "client-secret"),
        ("scope", "openid groups"),
    ];
    assert_eq!(sent, fields.map(|(name, value)| (name.into(), value.into())).into());
    // Until it is confirmed, and more seldom where the issuer says so.
    let answer = asked(root, &start).await;
    assert_eq!(
        (answer.status, answer.code()),
        (400, "authorization_pending"),
        "{}",
        answer.text
    );
    issuer.device_says(json!({ "error": "slow_down" }));
    let login = json!({ "device_code": start["device_code"] }).to_string();
    let url = format!("{}/api/v1/auth/company/login", root.address);
    let answer = root.http.post(url).body(login).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (429, &"6".parse().unwrap())
    );
    assert_eq!(answer.json::<Value>().await.unwrap()["code"], "slow_down");
    confirm(issuer, &token_of_ada(issuer, &json!({})));
    let answer = asked(root, &start).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let ada = root.with_token(answer.json["access_token"].as_str().unwrap());
    let me = ada.get("auth/whoami").await.1;
    assert_eq!(
        (&me["name"], &me["method"], &me["groups"]),
        (&json!("ada@company"), &json!("company"), &json!(["readers"]))
    );
    assert_eq!(ada.get("secrets/app/key").await.0, 200);
    let answer = asked(root, &start).await;
    assert_eq!(
        (answer.status, answer.code()),
        (401, "login_failed"),
        "once, whatever the issuer would say"
    );
    // Every question left its entry, and only the last but one was a login.
    let log = root.get("audit?action=auth.login&limit=4").await.1;
    let outcomes: Vec<&Value> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["outcome"])
        .collect();
    assert_eq!(outcomes, ["denied", "granted", "refused", "refused"], "{log}");
    stage.server.terminate();
}

async fn what_nobody_confirmed_is_refused(on: On) {
    let stage = stage(on).await;
    company(&stage).await;
    let (root, issuer, stranger) = (&stage.root, &stage.issuer, Issuer::start().await);
    let refused = async |start: &Value, what: &str| {
        let answer = asked(root, start).await;
        assert_eq!(
            (answer.status, answer.code()),
            (401, "login_failed"),
            "{what}: {}",
            answer.text
        );
    };
    for error in ["access_denied", "expired_token", "invalid_grant"] {
        let start = started(root).await;
        issuer.device_says(json!({ "error": error }));
        refused(&start, error).await;
    }
    for (what, token) in [
        ("another audience", token_of_ada(issuer, &json!({ "aud": "other" }))),
        (
            "of several audiences none that asked",
            token_of_ada(issuer, &json!({ "aud": ["strongroom", "other"] })),
        ),
        (
            "a browser's login",
            token_of_ada(issuer, &json!({ "nonce": "of-a-browser" })),
        ),
        ("expired", token_of_ada(issuer, &json!({ "exp": now() - 60 }))),
        ("another hand", token_of_ada(&stranger, &json!({ "iss": issuer.url }))),
    ] {
        let start = started(root).await;
        confirm(issuer, &token);
        refused(&start, what).await;
    }
    let start = started(root).await;
    refused(&json!({ "device_code": "of-the-issuer-1" }), "the issuer's own code").await;
    let browser = json!({ "redirect_uri": "http://127.0.0.1:8250/callback" });
    let browser = nobody(root).post("auth/company/start", browser).await.1;
    refused(&json!({ "device_code": browser["state"] }), "a browser's state").await;
    let as_browser = json!({ "state": start["device_code"], "code": "any" });
    assert_eq!(
        root.login_by("company", as_browser).await.0,
        401,
        "a device's code as a state"
    );
    confirm(issuer, &token_of_ada(issuer, &json!({})));
    let other = json!({ "device_code": start["device_code"] });
    assert_eq!(root.login_by("ci", other).await.0, 401, "another method's");
    assert_eq!(asked(root, &start).await.status, 200, "what failed used up nothing");
    // A code is good for as long as the issuer says, here too.
    *issuer.seen.device.lock().unwrap() = json!({ "expires_in": 1 });
    let start = started(root).await;
    confirm(issuer, &token_of_ada(issuer, &json!({})));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    refused(&start, "too late").await;
    // What would steer a terminal, or lead anywhere, is no answer.
    for bad in [
        json!({ "user_code": "\u{1b}[2J" }),
        json!({ "verification_uri": "file:///etc/passwd" }),
    ] {
        *issuer.seen.device.lock().unwrap() = bad;
        let (status, answer) = nobody(root).post("auth/company/start", json!({})).await;
        assert_eq!(
            (status, answer["code"].as_str()),
            (503, Some("issuer_unavailable")),
            "{answer}"
        );
    }
    stage.server.terminate();
}

/// Whoever talks somebody into confirming a code has the login: no method takes one unasked.
async fn a_method_takes_codes_only_where_it_says_so(on: On) {
    let stage = stage(on).await;
    company(&stage).await;
    let (root, issuer) = (&stage.root, &stage.issuer);
    let start = started(root).await;
    confirm(issuer, &token_of_ada(issuer, &json!({})));
    let method = json!({ "type": "oidc", "issuer": issuer.url, "client_id": "strongroom", "secret": "client-secret" });
    root.written("methods/company", method).await;
    assert_eq!(asked(root, &start).await.status, 401, "one that was begun before");
    for method in ["company", "ci", "client", "none"] {
        let (status, answer) = nobody(root).post(&format!("auth/{method}/start"), json!({})).await;
        assert_eq!(
            (status, answer["code"].as_str()),
            (401, Some("login_failed")),
            "{method}: {answer}"
        );
    }
    let asked = issuer.seen.asked_for_device.lock().unwrap().len();
    assert_eq!(asked, 1, "the issuer is asked only where that may lead to something");
    stage.server.terminate();
}

async fn of_many_uses_of_one_code_one_wins(on: On) {
    let stage = stage(on).await;
    company(&stage).await;
    for round in 0..rounds() {
        let start = started(&stage.root).await;
        confirm(&stage.issuer, &token_of_ada(&stage.issuer, &json!({})));
        let all = (0..AT_ONCE).map(|_| asked(&stage.root, &start));
        let answers = futures_util::future::join_all(all).await;
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        one_won(round, [count(200), count(401), count(503)], AT_ONCE);
    }
    stage.server.terminate();
}

/// The address and the code that the command line shows.
fn shown(stderr: &mut impl std::io::BufRead) -> [String; 2] {
    let mut lines = stderr.lines().map(|line| line.unwrap().trim().to_owned());
    let address = lines.find(|line| line.starts_with("http")).expect("an address");
    [address, lines.next().unwrap()]
}

async fn the_command_line_waits(on: On) {
    let stage = stage(on).await;
    company(&stage).await;
    let shell = Shell::of(&stage);
    let Stage { root, issuer, .. } = &stage;
    let login = || {
        let login = command(&["login", "--method", "company", "--device"], &shell.environment(&[]))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = login.unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let shown = shown(&mut stderr);
        let done = tokio::task::spawn_blocking(move || {
            let mut rest = String::new();
            stderr.read_to_string(&mut rest).unwrap();
            (child.wait().unwrap().code(), rest)
        });
        (shown, done)
    };
    let ([address, code], done) = login();
    assert_eq!((address, code.as_str()), (format!("{}/confirm", issuer.url), "CODE-1"));
    // It asks again while nobody has confirmed it.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while root.get("audit?action=auth.login&outcome=refused").await.1["items"]
        .as_array()
        .unwrap()
        .len()
        < 2
    {
        assert!(std::time::Instant::now() < deadline, "it does not ask again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    confirm(issuer, &token_of_ada(issuer, &json!({})));
    let (code, rest) = done.await.unwrap();
    assert_eq!(code, Some(0), "{rest}");
    assert_eq!(shell.whoami()["name"], "ada@company");
    assert_eq!(shell.run(&[], &["logout"], b"").0, 0);
    // A refusal ends it.
    let complete = format!("{}/confirm?code=CODE-2", issuer.url);
    *issuer.seen.device.lock().unwrap() = json!({ "verification_uri_complete": complete });
    let (_, done) = login();
    issuer.device_says(json!({ "error": "access_denied" }));
    let (code, rest) = done.await.unwrap();
    assert_eq!(code, Some(4), "{rest}");
    assert!(rest.contains(&complete), "{rest}");
    let curl = ["login", "--method", "company", "--device", "--show-curl"];
    let (code, shown, _) = shell.run(&[], &curl, b"");
    assert!(code == 0 && shown.contains("/auth/company/start"), "{shown}");
    stage.server.terminate();
}

on_both_stores!(
    a_login_is_confirmed_elsewhere,
    what_nobody_confirmed_is_refused,
    a_method_takes_codes_only_where_it_says_so,
    of_many_uses_of_one_code_one_wins,
    the_command_line_waits,
);
