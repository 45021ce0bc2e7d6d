use serde_json::json;

use super::*;

fn method(config: Value) -> MethodConfig {
    let config: MethodConfig = serde_json::from_value(config).unwrap();
    config.check().unwrap();
    config
}

fn jwt() -> MethodConfig {
    method(json!({ "type": "jwt", "issuer": "https://i.test", "audiences": ["ours", "more"] }))
}

fn bounds(value: Value) -> Bounds {
    serde_json::from_value(value).unwrap()
}

fn admits(method: &MethodConfig, bound: &Value, claims: &Value) -> Result<(), Denied> {
    let facts = Facts {
        audiences: &["ours".to_owned()],
        claims: claims.as_object(),
        ..Facts::default()
    };
    bounds(bound.clone()).admits(method, &facts)
}

#[test]
fn claims_compare_by_value_and_type() {
    let method = jwt();
    let claims = json!({
        "sub": "me", "n": 5, "f": 5.0, "yes": true, "text": "5", "groups": ["a", 7, true], "none": null, "empty": [],
        "kubernetes.io": { "namespace": "x", "a/b": { "~": "deep" } },
    });
    let fits = |name: &str, accepted: Value| {
        let bound = json!({ "method": "m", "claims": { name: accepted } });
        admits(&method, &bound, &claims).is_ok()
    };
    for (name, accepted) in [
        ("sub", json!("me")),
        ("sub", json!(["you", "me"])),
        ("n", json!(5)),
        ("yes", json!(true)),
        ("text", json!("5")),
        ("groups", json!("a")),
        ("groups", json!([7])),
        ("groups", json!(true)),
        ("/sub", json!("me")),
        ("/kubernetes.io/namespace", json!("x")),
        ("/kubernetes.io/a~1b/~0", json!("deep")),
    ] {
        assert!(fits(name, accepted.clone()), "{name} {accepted}");
    }
    for (name, accepted) in [
        ("sub", json!("m")),
        ("sub", json!("me*")),
        ("sub", json!("*")),
        ("sub", json!("ME")),
        ("sub", json!([])),
        ("n", json!("5")),
        ("f", json!(5)),
        ("text", json!(5)),
        ("yes", json!("true")),
        ("yes", json!(1)),
        ("groups", json!("b")),
        ("groups", json!("7")),
        ("none", json!("null")),
        ("empty", json!("")),
        ("absent", json!("x")),
        ("kubernetes.io", json!("x")),
        ("/kubernetes.io", json!("x")),
        ("/kubernetes.io/namespace/x", json!("x")),
        ("/groups/0", json!("a")),
        ("/", json!("x")),
    ] {
        assert!(!fits(name, accepted.clone()), "{name} {accepted}");
    }
    let both = json!({ "method": "m", "claims": { "sub": "me", "n": 6 } });
    assert_eq!(
        admits(&method, &both, &claims),
        Err(Denied::Claim),
        "all of them must fit"
    );
}

#[test]
fn what_binds_nothing_lets_nobody_in() {
    let claims = json!({ "sub": "me" });
    assert_eq!(admits(&jwt(), &json!({ "method": "m" }), &claims), Err(Denied::Unbound));
    let audiences = |list: Value| json!({ "method": "m", "audiences": list, "claims": { "sub": "me" } });
    assert_eq!(admits(&jwt(), &audiences(json!(["ours"])), &claims), Ok(()));
    assert_eq!(
        admits(&jwt(), &audiences(json!(["more"])), &claims),
        Err(Denied::Audience)
    );
    assert_eq!(admits(&jwt(), &audiences(json!([])), &claims), Err(Denied::Audience));
    let cluster = method(json!({ "type": "kubernetes", "issuer": "https://k.test", "audiences": ["ours"] }));
    let cert = method(json!({ "type": "cert", "ca_pem": "-----BEGIN CERTIFICATE-----" }));
    let spiffe = method(json!({
        "type": "spiffe-jwt", "trust_domain": "example.org", "audiences": ["ours"],
        "keys": { "jwks_url": "https://s.test/keys" },
    }));
    for method in [&cluster, &cert, &spiffe] {
        assert_eq!(admits(method, &json!({ "method": "m" }), &claims), Err(Denied::Unbound));
    }
    for (method, field) in [
        (&cluster, "service_accounts"),
        (&cert, "spiffe_ids"),
        (&cert, "dns_names"),
        (&cert, "common_names"),
        (&spiffe, "spiffe_ids"),
    ] {
        assert!(
            admits(method, &json!({ "method": "m", field: [] }), &claims).is_err(),
            "{field}"
        );
    }
    // What would not be asked is refused, since it was meant to restrict.
    for (method, field, value) in [
        (&jwt(), "spiffe_ids", json!(["x"])),
        (&jwt(), "service_accounts", json!([])),
        (&jwt(), "pull_requests", json!(true)),
        (&cluster, "dns_names", json!(["x"])),
        (&cert, "claims", json!({ "sub": "me" })),
        (&cert, "audiences", json!(["ours"])),
    ] {
        let bound = bounds(json!({ "method": "m", field: value }));
        assert!(bound.check(method).unwrap_err().detail.contains(field), "{field}");
    }
}

#[test]
fn a_service_account_is_named_whole() {
    let cluster = method(json!({ "type": "kubernetes", "issuer": "https://k.test", "audiences": ["ours"] }));
    let admits = |bound: Value, found: Option<[&str; 3]>| {
        let account = found.map(|[namespace, name, uid]| ServiceAccount {
            namespace: namespace.into(),
            name: name.into(),
            uid: Some(uid.into()),
        });
        let facts = Facts {
            service_account: account.as_ref(),
            ..Facts::default()
        };
        bounds(json!({ "method": "m", "service_accounts": [bound] }))
            .admits(&cluster, &facts)
            .is_ok()
    };
    let app = json!({ "namespace": "shop", "name": "app" });
    assert!(admits(app.clone(), Some(["shop", "app", "1"])));
    assert!(!admits(app.clone(), Some(["shop", "ap", "1"])) && !admits(app.clone(), Some(["other", "app", "1"])));
    assert!(!admits(app, None));
    let pinned = json!({ "namespace": "shop", "name": "app", "uid": "1" });
    assert!(admits(pinned.clone(), Some(["shop", "app", "1"])) && !admits(pinned, Some(["shop", "app", "2"])));
}

fn github() -> MethodConfig {
    let github = method(json!({ "type": "jwt", "preset": "github-actions", "audiences": ["ours"] }));
    let MethodConfig::Jwt(jwt) = &github else {
        panic!("a jwt method")
    };
    assert_eq!(jwt.issuer(), "https://token.actions.githubusercontent.com");
    github
}

fn with(mut value: Value, name: &str, new: Value) -> Value {
    value[name] = new;
    value
}

#[test]
fn a_preset_demands_an_id_and_a_job() {
    let gitlab = method(json!({ "type": "jwt", "preset": "gitlab", "audiences": ["ours"] }));
    for (method, claims, fits) in [
        (
            github(),
            json!({ "repository": "o/r", "ref": "refs/heads/main" }),
            false,
        ),
        (github(), json!({ "sub": "repo:o/r:ref:refs/heads/main" }), false),
        (github(), json!({ "repository_id": "1" }), false),
        (github(), json!({ "ref": "refs/heads/main" }), false),
        (
            github(),
            json!({ "repository_id": "1", "ref": "refs/heads/main" }),
            true,
        ),
        (
            github(),
            json!({ "repository_owner_id": "1", "environment": "prod" }),
            true,
        ),
        (gitlab.clone(), json!({ "project_path": "g/p", "ref": "main" }), false),
        (gitlab.clone(), json!({ "project_id": "1" }), false),
        (gitlab.clone(), json!({ "project_id": "1", "ref": "main" }), true),
        (
            gitlab.clone(),
            json!({ "namespace_id": "1", "ref_protected": "true" }),
            true,
        ),
    ] {
        let bound = bounds(json!({ "method": "m", "claims": claims }));
        assert_eq!(bound.check(&method).is_ok(), fits, "{claims}");
    }
}

#[test]
fn github_jobs_of_pull_requests_stay_outside() {
    let bound =
        json!({ "method": "m", "claims": { "repository_id": "1", "ref": ["refs/heads/main", "refs/pull/1/merge"] } });
    let job = json!({
        "sub": "repo:o/r:ref:refs/heads/main", "repository_id": "1", "ref": "refs/heads/main", "event_name": "push",
    });
    let admits = |claims: Value| admits(&github(), &bound, &claims);
    assert_eq!(admits(job.clone()), Ok(()));
    assert_eq!(
        admits(with(job.clone(), "sub", json!("repo:o@5/r@1:ref:refs/heads/main"))),
        Ok(())
    );
    for event in ["pull_request", "pull_request_target", "pull_request_review"] {
        assert_eq!(
            admits(with(job.clone(), "event_name", json!(event))),
            Err(Denied::PullRequest),
            "{event}"
        );
    }
    for subject in ["repo:o/r:pull_request", "repo:o@5/r@1:pull_request"] {
        assert_eq!(
            admits(with(job.clone(), "sub", json!(subject))),
            Err(Denied::PullRequest),
            "{subject}"
        );
    }
    for (name, value) in [("event_name", json!(null)), ("event_name", json!(["push"]))] {
        assert_eq!(admits(with(job.clone(), name, value)), Err(Denied::PullRequest));
    }
    assert_eq!(
        admits(with(job.clone(), "repository_id", json!(1))),
        Err(Denied::Claim),
        "an id is text there"
    );
    assert_eq!(
        admits(with(job.clone(), "repository_id", json!("2"))),
        Err(Denied::Claim)
    );
    let open = with(bound.clone(), "pull_requests", json!(true));
    let proposed = with(job, "event_name", json!("pull_request"));
    assert_eq!(super::tests::admits(&github(), &open, &proposed), Ok(()));
}

#[test]
fn gitlab_jobs_of_merge_requests_and_unprotected_refs_stay_outside() {
    let gitlab = method(json!({ "type": "jwt", "preset": "gitlab", "audiences": ["ours"] }));
    let bound = json!({ "method": "m", "claims": { "project_id": "20", "ref": "main" } });
    let job = json!({
        "project_id": "20", "ref": "main", "ref_path": "refs/heads/main", "ref_protected": "true", "pipeline_source": "push",
    });
    let with_bound = |bound: &Value, claims: Value| admits(&gitlab, bound, &claims);
    assert_eq!(with_bound(&bound, job.clone()), Ok(()));
    for (name, value, denied) in [
        ("pipeline_source", json!("merge_request_event"), Denied::PullRequest),
        (
            "pipeline_source",
            json!("external_pull_request_event"),
            Denied::PullRequest,
        ),
        ("pipeline_source", json!(null), Denied::PullRequest),
        ("ref_path", json!("refs/merge-requests/1/head"), Denied::PullRequest),
        ("ref_protected", json!("false"), Denied::Unprotected),
        ("ref_protected", json!(null), Denied::Unprotected),
        ("ref_protected", json!(true), Denied::Unprotected),
    ] {
        assert_eq!(
            with_bound(&bound, with(job.clone(), name, value.clone())),
            Err(denied),
            "{name} {value}"
        );
    }
    let open = with(bound.clone(), "pull_requests", json!(true));
    assert_eq!(
        with_bound(
            &open,
            with(job.clone(), "pipeline_source", json!("merge_request_event"))
        ),
        Ok(())
    );
    let meant = json!({ "method": "m", "claims": { "project_id": "20", "ref_protected": ["true", "false"] } });
    assert_eq!(with_bound(&meant, with(job, "ref_protected", json!("false"))), Ok(()));
}

#[test]
fn a_method_says_what_is_wrong_with_it() {
    let check = |config: Value| serde_json::from_value::<MethodConfig>(config).map(|config| config.check());
    let jwt = json!({ "type": "jwt", "issuer": "https://i.test", "audiences": ["ours"] });
    check(jwt.clone()).unwrap().unwrap();
    for (name, value, part) in [
        ("issuer", json!(""), "issuer"),
        ("issuer", json!("ftp://i.test"), "issuer"),
        ("issuer", json!("https://user@i.test"), "issuer"),
        ("issuer", json!("https://"), "issuer"),
        ("audiences", json!([]), "audiences"),
        ("audiences", json!([""]), "audiences"),
        ("max_token_lifetime", json!(59), "max_token_lifetime"),
        ("algorithms", json!([]), "algorithms"),
        ("keys", json!({ "jwks_url": "https://a", "jwks": "{}" }), "keys"),
        (
            "keys",
            json!({ "jwks": "{}", "ca_pem": "-----BEGIN CERTIFICATE-----" }),
            "ca_pem",
        ),
        ("keys", json!({ "ca_pem": "nothing" }), "ca_pem"),
        ("keys", json!({ "jwks_url": "nothing" }), "jwks_url"),
    ] {
        let error = check(with(jwt.clone(), name, value.clone())).unwrap().unwrap_err();
        assert!(error.detail.contains(part), "{name} {value}: {}", error.detail);
    }
    // Static keys: the issuer is only a name.
    let fixed = with(
        with(jwt.clone(), "issuer", json!("cluster.local")),
        "keys",
        json!({ "jwks": "{\"keys\":[]}" }),
    );
    check(fixed).unwrap().unwrap();
    assert!(check(with(jwt.clone(), "algorithms", json!(["HS256"]))).is_err());
    assert!(check(with(jwt.clone(), "algorithms", json!(["ES512"]))).is_err());
    assert!(
        check(with(jwt, "isuer", json!("x"))).is_err(),
        "an unknown field could be meant to restrict"
    );
    assert!(
        check(json!({ "type": "client" })).unwrap().is_err() && check(json!({ "type": "client", "a": 1 })).is_err()
    );
    assert!(
        check(json!({ "type": "spiffe-jwt", "trust_domain": "spiffe://a", "audiences": ["o"], "keys": {} }))
            .unwrap()
            .is_err()
    );
}
