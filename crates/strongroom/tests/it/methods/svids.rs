//! Workloads with JWT-SVIDs, by the command line.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::line::Shell;
use super::stage;
use crate::harness::On;
use crate::issuer::{AUDIENCE, now};

const APP: &str = "spiffe://example.org/ns/shop/sa/app";

/// A trust domain's key.
struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// As it stands in a bundle, for that use.
    fn jwk(&self, kid: &str, usage: &str) -> Value {
        let point = self.0.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|half| BASE64URL_NOPAD.encode(half));
        json!({ "kty": "EC", "crv": "P-256", "kid": kid, "use": usage, "x": x, "y": y })
    }

    fn signed(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = self.0.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}

fn header(kid: &str) -> Value {
    json!({ "alg": "ES256", "kid": kid, "typ": "JWT" })
}

/// A good SVID's claims with these besides, or instead; null: without.
fn claims(change: &Value) -> Value {
    let mut all = json!({ "sub": APP, "aud": [AUDIENCE], "exp": now() + 300, "iat": now() });
    for (name, value) in change.as_object().unwrap() {
        all[name] = value.clone();
    }
    all.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    all
}

async fn an_svid_logs_in(on: On) {
    let stage = stage(on).await;
    let (shell, root) = (Shell::of(&stage), &stage.root);
    let (signer, other) = (Signer::new(), Signer::new());
    let jwks = json!({
        "spiffe_sequence": 1, "spiffe_refresh_hint": 60,
        "keys": [signer.jwk("svids", "jwt-svid"), other.jwk("certificates", "x509-svid")],
    });
    *stage.issuer.seen.bundle.lock().unwrap() = jwks.clone();
    let asked = json!({ "jwks_url": format!("{}/bundle", stage.issuer.url) });
    for (method, keys) in [("spire", asked), ("kept", json!({ "jwks": jwks.to_string() }))] {
        let described =
            json!({ "type": "spiffe-jwt", "trust_domain": "example.org", "audiences": [AUDIENCE], "keys": keys });
        let token = [("STRONGROOM_TOKEN", root.token.as_deref().unwrap())];
        let put = ["method", "put", method, "-"];
        let (code, _, stderr) = shell.run(&token, &put, described.to_string().as_bytes());
        assert_eq!(code, 0, "{stderr}");
        for (role, id) in [("app", APP), ("other", "spiffe://example.org/other")] {
            let bounds = json!({ "method": method, "spiffe_ids": [id] }).to_string();
            let role = format!("{role}-{method}");
            let put = ["role", "put", &role, "--policy", "app", "--bounds", "-"];
            let (code, _, stderr) = shell.run(&token, &put, bounds.as_bytes());
            assert_eq!(code, 0, "{stderr}");
        }
        let login = |role: &str, token: String| {
            let role = format!("{role}-{method}");
            let login = ["login", "--method", method, "--role", &role, "--token-file", "-"];
            shell.run(&[], &login, token.as_bytes())
        };
        let good = || signer.signed(&header("svids"), &claims(&json!({})));
        let (code, _, stderr) = login("app", good());
        assert_eq!(code, 0, "{stderr}");
        let me = shell.whoami();
        let name = format!("{APP}@{method}");
        assert_eq!(
            (me["name"].as_str(), me["method"].as_str()),
            (Some(name.as_str()), Some(method))
        );
        assert_eq!(shell.run(&[], &["get", "app/key"], b"").1, "s3cr3t");
        assert_eq!(shell.run(&[], &["logout"], b"").0, 0);
        assert_eq!(login("other", good()).0, 4, "the id of another role");
        // What JWT-SVIDs ask for beyond any token.
        let with = |change: Value| signer.signed(&header("svids"), &claims(&change));
        let headed = |name: &str, value: Value| {
            let mut header = header("svids");
            header[name] = value;
            signer.signed(&header, &claims(&json!({})))
        };
        for (what, token) in [
            (
                "another trust domain",
                with(json!({ "sub": "spiffe://example.com/ns/shop/sa/app" })),
            ),
            ("no SPIFFE ID", with(json!({ "sub": "app" }))),
            ("no subject", with(json!({ "sub": null }))),
            ("another audience", with(json!({ "aud": ["https://other.test"] }))),
            ("no audience", with(json!({ "aud": null }))),
            ("no end", with(json!({ "exp": null }))),
            ("expired", with(json!({ "exp": now() - 60 }))),
            ("a header that is not needed", headed("x5t", json!("a"))),
            ("of another type", headed("typ", json!("at+jwt"))),
            (
                "a key for certificates",
                other.signed(&header("certificates"), &claims(&json!({}))),
            ),
            ("another's hand", other.signed(&header("svids"), &claims(&json!({})))),
            ("an algorithm that none has", stage.issuer.token(&claims(&json!({})))),
        ] {
            let (code, _, stderr) = login("app", token);
            assert_eq!(code, 4, "{method}, {what}: {stderr}");
        }
        assert_eq!(login("app", good()).0, 0, "and a good one still");
    }
    stage.server.terminate();
}

on_both_stores!(an_svid_logs_in);
