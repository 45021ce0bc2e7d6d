//! What everybody may reach: a listener that evaluates flags and nothing else, keys that are bound to pages, and streams.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{boolean, flag};
use crate::harness::{Api, On, Server, Store, own_port, run};

const PAGE: &str = "https://shop.example.com";
const BULK: &str = "flags/shop/prod/ofrep/v1/evaluate/flags";

struct Shop {
    server: Server,
    _store: Store,
    root: Api,
    /// Of the listener of flags.
    open: String,
    key: String,
    id: String,
}

async fn shop(on: On) -> Shop {
    let store = Store::fresh(on);
    let listen = format!("127.0.0.1:{}", own_port());
    let server = store.dev(&[("STRONGROOM_FLAGS_LISTEN", &listen)]);
    let root = Api::new(&server, store.root_token());
    assert_eq!(root.put("flags/shop/prod/banner", flag(boolean("off"))).await.0, 200);
    assert_eq!(root.put("flags/shop/test/banner", flag(boolean("off"))).await.0, 200);
    let (status, made) = root
        .post(
            "flag-sets/shop/prod/browser-keys",
            json!({ "origins": [PAGE], "ttl": 3600 }),
        )
        .await;
    assert_eq!(status, 201, "{made}");
    Shop {
        server,
        _store: store,
        root,
        open: format!("http://{listen}"),
        key: made["key"].as_str().unwrap().to_owned(),
        id: made["key_id"].as_str().unwrap().to_owned(),
    }
}

impl Shop {
    async fn ask(&self, at: &str, path: &str, page: Option<&str>, key: &str) -> (u16, Value) {
        let mut request = self.root.http.post(format!("{at}/{path}")).bearer_auth(key).body("{}");
        if let Some(page) = page {
            request = request.header("origin", page);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        if let Some(page) = page.filter(|_| at == self.open) {
            assert_eq!(headers["access-control-allow-origin"], page, "{path}: {status}");
        }
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// The stream that an evaluation names.
    async fn stream_of(&self) -> String {
        let (status, all) = self.ask(&self.open, BULK, Some(PAGE), &self.key).await;
        assert_eq!(status, 200, "{all}");
        let uri = all["eventStreams"][0]["endpoint"]["requestUri"].as_str().unwrap();
        format!("{}{uri}", self.open)
    }

    async fn open(&self, url: &str) -> (u16, Notices) {
        let answer = self.root.http.get(url).header("origin", PAGE).send().await.unwrap();
        (answer.status().as_u16(), Notices(answer))
    }
}

struct Notices(reqwest::Response);

impl Notices {
    /// What comes within a time: text, or the end.
    async fn next(&mut self) -> Option<String> {
        let chunk = timeout(Duration::from_secs(10), self.0.chunk())
            .await
            .expect("a notice in time");
        chunk
            .ok()
            .flatten()
            .map(|chunk| String::from_utf8(chunk.to_vec()).unwrap())
    }

    async fn ends(mut self) -> bool {
        while let Some(text) = self.next().await {
            assert!(text.starts_with(':') || text.contains("event:"), "{text}");
        }
        true
    }
}

/// The key is good for one set, on one listener, by its pages, and until it is ended.
async fn a_key_does_one_thing(on: On) {
    let shop = shop(on).await;
    let main = shop.root.address.clone();
    let one = format!("{BULK}/banner");
    let (status, found) = shop.ask(&shop.open, &one, Some(PAGE), &shop.key).await;
    assert_eq!((status, &found["value"]), (200, &json!(false)));
    for (what, at, path, page) in [
        ("no page", &shop.open, one.as_str(), None),
        ("another page", &shop.open, &one, Some("https://evil.example.com")),
        ("a page below", &shop.open, &one, Some("https://a.shop.example.com")),
        ("the main listener", &main, &one, Some(PAGE)),
    ] {
        assert_eq!(shop.ask(at, path, page, &shop.key).await.0, 401, "{what}");
    }
    let (status, _) = shop
        .ask(
            &shop.open,
            "flags/shop/test/ofrep/v1/evaluate/flags",
            Some(PAGE),
            &shop.key,
        )
        .await;
    assert_eq!(status, 403, "another set");
    let as_page = shop.root.with_token(&shop.key);
    assert_eq!(as_page.get("flags/shop/prod/banner").await.0, 401, "the API");
    let root = shop.root.token.clone().unwrap();
    for path in [
        "api/v1/flags/shop/prod",
        "api/v1/secrets/x",
        "metrics",
        "api/v1/openapi.json",
        "v1/sys/health",
        "",
    ] {
        let answer = shop
            .root
            .http
            .get(format!("{}/{path}", shop.open))
            .bearer_auth(&root)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 404, "{path} is not there, whoever asks");
    }
    assert_eq!(
        shop.root
            .http
            .get(format!("{}/health", shop.open))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    let (_, listed) = shop.root.get("flag-sets/shop/prod/browser-keys").await;
    assert_eq!(
        (listed["items"].as_array().unwrap().len(), &listed["items"][0]["key_id"]),
        (1, &json!(shop.id))
    );
    assert!(!listed.to_string().contains(&shop.key), "it is shown once");
    let (_, elsewhere) = shop.root.get("flag-sets/shop/test/browser-keys").await;
    assert_eq!(elsewhere["items"], json!([]));
    assert_eq!(
        shop.root
            .delete(&format!("flag-sets/shop/test/browser-keys/{}", shop.id))
            .await
            .0,
        404
    );
    assert_eq!(
        shop.root
            .delete(&format!("flag-sets/shop/prod/browser-keys/{}", shop.id))
            .await
            .0,
        204
    );
    assert_eq!(shop.ask(&shop.open, &one, Some(PAGE), &shop.key).await.0, 401);
    for wrong in [
        json!({ "origins": [] }),
        json!({ "origins": ["*"] }),
        json!({ "origins": [PAGE], "ttl": 99_999_999 }),
        json!({ "origins": [PAGE], "ttl": 0 }),
        json!({}),
    ] {
        assert_eq!(
            shop.root
                .post("flag-sets/shop/prod/browser-keys", wrong.clone())
                .await
                .0,
            400,
            "{wrong}"
        );
    }
    shop.server.terminate();
}

async fn a_key_expires(on: On) {
    let shop = shop(on).await;
    let short = json!({ "origins": [PAGE], "ttl": 1 });
    let (_, made) = shop.root.post("flag-sets/shop/prod/browser-keys", short).await;
    let url = {
        let key = made["key"].as_str().unwrap();
        let (status, all) = shop.ask(&shop.open, BULK, Some(PAGE), key).await;
        assert_eq!(status, 200);
        format!(
            "{}{}",
            shop.open,
            all["eventStreams"][0]["endpoint"]["requestUri"].as_str().unwrap()
        )
    };
    let (status, notices) = shop.open(&url).await;
    assert_eq!(status, 200);
    assert!(
        timeout(Duration::from_secs(5), notices.ends()).await.unwrap(),
        "the stream ends with it"
    );
    let key = made["key"].as_str().unwrap();
    assert_eq!(shop.ask(&shop.open, BULK, Some(PAGE), key).await.0, 401);
    shop.server.terminate();
}

/// A stream says at first, and at each change of the set, that flags are to be evaluated anew.
async fn a_stream_tells_of_changes(on: On) {
    let shop = shop(on).await;
    let url = shop.stream_of().await;
    let (status, mut notices) = shop.open(&url).await;
    assert_eq!(status, 200);
    let first = notices.next().await.unwrap();
    assert!(
        first.contains("event: message\n") && first.contains("\"type\":\"refetchEvaluation\""),
        "{first}"
    );
    assert_eq!(
        shop.root.put("flags/shop/prod/banner", flag(boolean("on"))).await.0,
        200
    );
    assert!(notices.next().await.unwrap().contains("refetchEvaluation"));
    // Of another set, and of a secret of that name: nothing.
    assert_eq!(
        shop.root.put("flags/shop/test/banner", flag(boolean("on"))).await.0,
        200
    );
    assert_eq!(
        shop.root
            .put("secrets/shop/prod/banner", json!({ "value": "x" }))
            .await
            .0,
        201
    );
    let rules = json!({ "evaluators": { "always": { "==": [1, 1] } } });
    assert_eq!(shop.root.put("flag-sets/shop/prod/evaluators", rules).await.0, 200);
    let shared = notices.next().await.unwrap();
    assert!(shared.matches("refetchEvaluation").count() == 1, "{shared}");
    // Its address opened it, and opens no other.
    assert_eq!(shop.open(&url).await.0, 401);
    let of_other = shop.stream_of().await.replace("/prod/", "/test/");
    assert_eq!(shop.open(&of_other).await.0, 401);
    assert_eq!(shop.open(&format!("{}x", shop.stream_of().await)).await.0, 401);
    let second = shop.stream_of().await;
    let (status, another) = shop.open(&second).await;
    assert_eq!(status, 200);
    assert!(!shop.server.log_text().contains("ticket="), "an address is in no log");
    let ended = std::time::Instant::now();
    assert_eq!(
        shop.root
            .delete(&format!("flag-sets/shop/prod/browser-keys/{}", shop.id))
            .await
            .0,
        204
    );
    let (a, b) = tokio::join!(notices.ends(), another.ends());
    assert!(a && b);
    println!(
        "{on:?}: both streams ended {} ms after their key",
        ended.elapsed().as_millis()
    );
    shop.server.terminate();
}

/// A page that was told by a stream has one. Any other is given one, and so all, also where nothing changed.
async fn a_page_is_given_a_stream(on: On) {
    let shop = shop(on).await;
    let ask = async |query: &str, tag: &str| {
        let request = shop.root.http.post(format!("{}/{BULK}{query}", shop.open));
        let request = request.bearer_auth(&shop.key).header("origin", PAGE).body("{}");
        let answer = request.header("if-none-match", tag).send().await.unwrap();
        let tag = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        (answer.status().as_u16(), tag, answer.text().await.unwrap())
    };
    let (_, tag, all) = ask("", "").await;
    let tag = tag.unwrap();
    let (status, same, again) = ask("", &tag).await;
    assert_eq!((status, same.as_ref()), (200, Some(&tag)));
    assert_ne!(again, all, "another address");
    for query in [
        "?flagConfigEtag=7",
        "?flagConfigLastModified=1771622898&page=3",
        "?flagConfigLastModified=2026-02-20T21%3A08%3A18Z",
    ] {
        assert_eq!(
            ask(query, &tag).await,
            (304, Some(tag.clone()), String::new()),
            "{query}"
        );
    }
    let (status, _, refused) = ask("?flagConfigEtag=7&flagConfigEtag=8", &tag).await;
    assert!(status == 400 && refused.contains("PARSE_ERROR"), "{status}: {refused}");
    shop.server.terminate();
}

/// An address opens a stream for its page alone, also where a browser names none: behind a proxy, at the page's own origin.
async fn a_stream_is_of_its_page(on: On) {
    let shop = shop(on).await;
    for (page, expected) in [(Some("https://evil.example.com"), 401), (None, 200)] {
        let mut request = shop.root.http.get(shop.stream_of().await);
        if let Some(page) = page {
            request = request.header("origin", page);
        }
        assert_eq!(request.send().await.unwrap().status(), expected, "{page:?}");
    }
    shop.server.terminate();
}

/// A key says whose flags it evaluates, so that its provider needs no more than the listener's own address.
async fn a_key_names_its_set(on: On) {
    let shop = shop(on).await;
    let bare = "ofrep/v1/evaluate/flags";
    assert_eq!(
        shop.root.put("flags/shop/test/banner", flag(boolean("on"))).await.0,
        200
    );
    let made = json!({ "origins": [PAGE] });
    let (_, other) = shop.root.post("flag-sets/shop/test/browser-keys", made).await;
    for (key, set, value) in [
        (shop.key.as_str(), "prod", false),
        (other["key"].as_str().unwrap(), "test", true),
    ] {
        let (status, all) = shop.ask(&shop.open, bare, Some(PAGE), key).await;
        let named = format!("flags/shop/{set}/{bare}");
        let (_, named) = shop.ask(&shop.open, &named, Some(PAGE), key).await;
        assert_eq!(
            (status, &all["flags"], &all["flags"][0]["value"]),
            (200, &named["flags"], &json!(value))
        );
        let uri = all["eventStreams"][0]["endpoint"]["requestUri"].as_str().unwrap();
        assert!(uri.starts_with("/ofrep/v1/stream?ticket="), "{uri}");
        let (status, one) = shop.ask(&shop.open, &format!("{bare}/banner"), Some(PAGE), key).await;
        assert_eq!((status, &one["value"]), (200, &json!(value)));
    }
    for absent in ["none", "a%2Fb", "%00"] {
        let (status, found) = shop
            .ask(&shop.open, &format!("{bare}/{absent}"), Some(PAGE), &shop.key)
            .await;
        assert_eq!(
            (status, &found["errorCode"]),
            (404, &json!("FLAG_NOT_FOUND")),
            "{absent}"
        );
    }
    let root = shop.root.token.clone().unwrap();
    for (what, at, page, token, expected) in [
        ("no browser key", &shop.open, Some(PAGE), root.as_str(), 401),
        ("no token of ours", &shop.open, Some(PAGE), "srb_nobody", 401),
        (
            "another page",
            &shop.open,
            Some("https://evil.example.com"),
            &shop.key,
            401,
        ),
        ("no page", &shop.open, None, &shop.key, 401),
        ("the main listener", &shop.root.address, Some(PAGE), &shop.key, 404),
        ("the main listener", &shop.root.address, Some(PAGE), &root, 404),
    ] {
        for path in [bare, "ofrep/v1/evaluate/flags/banner"] {
            assert_eq!(shop.ask(at, path, page, token).await.0, expected, "{what}: {path}");
        }
    }
    let (_, entries) = shop
        .root
        .get("audit?action=flag.evaluate&outcome=denied&limit=100")
        .await;
    let entries = entries["items"].as_array().unwrap();
    let proven = entries.iter().filter(|entry| entry["principal"].is_string());
    assert_eq!(
        proven.count(),
        2,
        "what is no browser key is refused on record: {entries:?}"
    );
    shop.server.terminate();
}

/// The same for the stream: its address names no set, and is good for whoever has a key of one.
async fn a_key_names_its_stream(on: On) {
    let shop = shop(on).await;
    let uri = async |path: &str, token: &str| {
        let (status, all) = shop.ask(&shop.open, path, Some(PAGE), token).await;
        assert_eq!(status, 200, "{all}");
        all["eventStreams"][0]["endpoint"]["requestUri"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let url = format!("{}{}", shop.open, uri("ofrep/v1/evaluate/flags", &shop.key).await);
    let (status, mut notices) = shop.open(&url).await;
    assert_eq!(status, 200);
    assert!(notices.next().await.unwrap().contains("refetchEvaluation"));
    assert_eq!(shop.open(&url).await.0, 401, "one stream");
    assert_eq!(
        shop.root.put("flags/shop/prod/banner", flag(boolean("on"))).await.0,
        200
    );
    assert!(notices.next().await.unwrap().contains("refetchEvaluation"));
    // What names its set is of any token, and so is not good for this.
    let root = shop.root.token.clone().unwrap();
    let of_root = uri(BULK, &root).await.replace("/flags/shop/prod", "");
    assert_eq!(shop.open(&format!("{}{of_root}", shop.open)).await.0, 401);
    let preflight = shop.root.http.request(
        reqwest::Method::OPTIONS,
        format!("{}/ofrep/v1/evaluate/flags", shop.open),
    );
    let preflight = preflight
        .header("origin", PAGE)
        .header("access-control-request-method", "POST");
    let allowed = preflight.send().await.unwrap();
    assert_eq!(allowed.headers()["access-control-allow-origin"], PAGE);
    let metrics = shop.root.http.get(format!("{}/metrics", shop.root.address));
    let metrics = metrics.bearer_auth(&root).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("route=\"ofrep\""), "{metrics}");
    assert!(!shop.server.log_text().contains("ticket="), "an address is in no log");
    let key = format!("flag-sets/shop/prod/browser-keys/{}", shop.id);
    assert_eq!(shop.root.delete(&key).await.0, 204);
    assert!(notices.ends().await);
    shop.server.terminate();
}

/// Whoever asks who may read a flag is told of the keys that do, and of no others.
async fn keys_are_among_who_can(on: On) {
    let shop = shop(on).await;
    let short = json!({ "origins": [PAGE], "ttl": 1 });
    assert_eq!(shop.root.post("flag-sets/shop/prod/browser-keys", short).await.0, 201);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let who = async |asked: &str| -> Vec<Value> {
        let (status, page) = shop.root.get(&format!("who-can?{asked}")).await;
        assert_eq!(status, 200, "{page}");
        let items = page["items"].as_array().unwrap().iter();
        items.filter(|item| item["kind"] == "browser_key").cloned().collect()
    };
    let found = who("capability=read&path=flag/shop/prod/banner").await;
    let [key] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(
        (&key["name"], &key["root"], &key["through"], &key["deciding"]),
        (
            &json!(shop.id),
            &json!(false),
            &json!(["own"]),
            &json!({ "path": "flag/shop/prod/*", "capabilities": ["read"], "policies": [] })
        )
    );
    assert_eq!(who("capability=read&path=flag/shop/prod/").await.len(), 1);
    for none in [
        "capability=update&path=flag/shop/prod/banner",
        "capability=read&path=flag/shop/test/banner",
        "capability=read&path=shop/prod/banner",
    ] {
        assert!(who(none).await.is_empty(), "{none}");
    }
    let environment = [
        ("STRONGROOM_ADDR", shop.root.address.as_str()),
        ("STRONGROOM_TOKEN", shop.root.token.as_deref().unwrap()),
    ];
    let (code, stdout, _) = run(&["who-can", "read", "flag/shop/prod/banner"], &environment, b"");
    let text = String::from_utf8(stdout).unwrap();
    assert_eq!(code, 0);
    assert!(
        text.contains(&format!(
            "browser_key  {}  itself   -         flag/shop/prod/*",
            shop.id
        )),
        "{text}"
    );
    // It is by no policy, so that none changes it.
    let rules = json!({ "rules": [{ "path": "flag/shop/prod/*", "capabilities": ["deny"] }] });
    let (status, changes) = shop.root.put("policies/p?dry_run=true", rules).await;
    assert_eq!((status, &changes["changes"]), (200, &json!([])));
    let key = format!("flag-sets/shop/prod/browser-keys/{}", shop.id);
    assert_eq!(shop.root.delete(&key).await.0, 204);
    assert!(who("capability=read&path=flag/shop/prod/banner").await.is_empty());
    shop.server.terminate();
}

/// A stream that broke off goes on at its address by what its events told, and by nothing else.
async fn a_stream_goes_on(on: On) {
    let shop = shop(on).await;
    let url = shop.stream_of().await;
    let go_on = async |url: &str, id: &str| {
        let request = shop.root.http.get(url).header("origin", PAGE);
        let answer = request.header("last-event-id", id).send().await.unwrap();
        (answer.status().as_u16(), Notices(answer))
    };
    let id_of = |event: &str| {
        let id = event.lines().find_map(|line| line.strip_prefix("id: "));
        id.unwrap().to_owned()
    };
    let (_, mut first) = shop.open(&url).await;
    let id = id_of(&first.next().await.unwrap());
    let (_, mut other) = shop.open(&shop.stream_of().await).await;
    let of_another = id_of(&other.next().await.unwrap());
    drop(first);
    let revision = id.split_once('.').unwrap().0.to_owned();
    for wrong in ["", &revision, &format!("{revision}."), &of_another, &format!("{id}0")] {
        assert_eq!(go_on(&url, wrong).await.0, 401, "{wrong}");
    }
    assert_eq!(
        shop.root.put("flags/shop/prod/banner", flag(boolean("on"))).await.0,
        200
    );
    for _ in 0..2 {
        let (status, mut notices) = go_on(&url, &id).await;
        assert_eq!(status, 200);
        let event = notices.next().await.unwrap();
        assert!(event.contains("refetchEvaluation"), "what was missed is told: {event}");
        assert_eq!(id_of(&event).split_once('.').unwrap().1, id.split_once('.').unwrap().1);
    }
    let found = shop.root.get("audit?action=flag_set.stream&limit=100").await.1;
    let entries = found["items"].as_array().unwrap();
    let granted = entries.iter().filter(|entry| entry["outcome"] == "granted");
    assert_eq!(granted.count(), 4, "each is on record: {found}");
    let path = format!("flag-sets/shop/prod/browser-keys/{}", shop.id);
    assert_eq!(shop.root.delete(&path).await.0, 204);
    assert_eq!(go_on(&url, &id).await.0, 401, "the key has ended");
    shop.server.terminate();
}

/// What a page may do is asked first by the browser.
async fn pages_are_named(on: On) {
    let store = Store::fresh(on);
    let listen = format!("127.0.0.1:{}", own_port());
    let server = store.dev(&[("STRONGROOM_FLAGS_LISTEN", &listen), ("STRONGROOM_FLAGS_ORIGINS", PAGE)]);
    let http = Api::new(&server, "").http;
    let main = server.address();
    for (at, page, allowed) in [
        (main.as_str(), PAGE, true),
        (&main, "https://evil.example.com", false),
        (&format!("http://{listen}"), "https://evil.example.com", true),
    ] {
        let request = http
            .request(reqwest::Method::OPTIONS, format!("{at}/{BULK}"))
            .header("origin", page);
        let request = request.header("access-control-request-method", "POST");
        let answer = request
            .header("access-control-request-headers", "authorization")
            .send()
            .await
            .unwrap();
        let said = answer
            .headers()
            .get("access-control-allow-origin")
            .map(|said| said.to_str().unwrap().to_owned());
        assert_eq!(
            (answer.status().as_u16(), said),
            (200, allowed.then(|| page.to_owned())),
            "{at} {page}"
        );
        assert!(answer.headers().get("access-control-allow-credentials").is_none());
    }
    let answer = http
        .get(format!("{main}/api/v1/openapi.json"))
        .header("origin", PAGE)
        .send()
        .await
        .unwrap();
    assert!(
        answer.headers().get("access-control-allow-origin").is_none(),
        "only flags"
    );
    server.terminate();
}

on_both_stores!(
    a_key_does_one_thing,
    a_key_expires,
    a_stream_tells_of_changes,
    a_page_is_given_a_stream,
    a_stream_is_of_its_page,
    a_key_names_its_set,
    a_key_names_its_stream,
    keys_are_among_who_can,
    a_stream_goes_on,
    pages_are_named,
);
