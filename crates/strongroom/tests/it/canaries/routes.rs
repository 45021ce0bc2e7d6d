//! Every route that takes a value or a credential, each with values that are known again wherever they turn up.

use std::fmt::Write as _;

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::harness::{Api, Server, Store, run};

pub(super) struct Canaries {
    root: Api,
    dir: std::path::PathBuf,
    /// What every canary holds, and no escaping changes.
    pub(super) core: String,
    count: usize,
    pub(super) sent: usize,
    /// Secrets and paths that they can be read from, as the answer's field and its content.
    stored: Vec<(String, &'static str, Value)>,
    /// Answers that must not show a value, and what they answered.
    pub(super) answers: Vec<(String, Vec<u8>)>,
    /// Tokens and keys that the server made.
    pub(super) credentials: Vec<Vec<u8>>,
}

impl Canaries {
    pub(super) fn new(server: &Server, store: &Store, count: usize) -> Self {
        let mut random = [0; 10];
        #[expect(clippy::disallowed_methods, reason = "a canary is random")]
        getrandom::fill(&mut random).unwrap();
        // A connection each: the answer to a body that is too long ends its connection.
        let http = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .unwrap();
        Self {
            root: Api {
                http,
                ..Api::new(server, store.root_token())
            },
            dir: store.dir.path().to_owned(),
            core: format!("canary{}", data_encoding::HEXLOWER.encode(&random)),
            count,
            sent: 0,
            stored: Vec::new(),
            answers: Vec::new(),
            credentials: Vec::new(),
        }
    }

    /// The next one, with characters behind the core that every format escapes in its own way.
    fn next(&mut self) -> String {
        self.sent += 1;
        format!("{}-{}\"\\/ü ", self.core, self.sent)
    }

    fn path(&self, noun: &str) -> String {
        format!("canaries/{noun}/{}", self.sent)
    }

    pub(super) async fn send(&mut self) {
        self.credentials().await;
        self.imports();
        self.command_line();
        while self.sent < self.count {
            for _ in 0..20 {
                self.puts().await;
            }
            self.repeats().await;
            self.batches().await;
            self.refusals().await;
            self.bad_credentials().await;
        }
    }

    async fn raw(&mut self, place: &str, method: &str, path: &str, body: impl Into<Vec<u8>>) -> u16 {
        let request = self
            .root
            .http
            .request(method.parse().unwrap(), format!("{}/api/v1/{path}", self.root.address));
        let request = request.bearer_auth(self.root.token.as_deref().unwrap());
        self.keep(place, request.body(body.into())).await
    }

    /// Sends, and keeps the answer, headers and all.
    async fn keep(&mut self, place: &str, request: reqwest::RequestBuilder) -> u16 {
        let response = request.send().await.unwrap();
        let (status, mut text) = (
            response.status().as_u16(),
            format!("{:?}", response.headers()).into_bytes(),
        );
        text.extend(response.bytes().await.unwrap());
        assert!(status < 500, "{place}: {status} {}", text.escape_ascii());
        self.answers.push((format!("an answer {status} ({place})"), text));
        status
    }

    async fn puts(&mut self) {
        let text = self.next();
        let path = self.path("text");
        assert_eq!(
            self.raw(
                "put value",
                "PUT",
                &format!("secrets/{path}"),
                json!({ "value": text }).to_string()
            )
            .await,
            201
        );
        self.stored.push((path, "value", text.into()));
        let field = self.next();
        let (path, data) = (
            self.path("data"),
            json!({ "password": field, (self.next()): { "deep": [self.next()] } }),
        );
        assert_eq!(
            self.raw(
                "put data",
                "PUT",
                &format!("secrets/{path}"),
                json!({ "data": data }).to_string()
            )
            .await,
            201
        );
        let patched = self.next();
        let patch = json!({ "data": { "patched": patched } }).to_string();
        assert_eq!(
            self.raw("patch data", "PATCH", &format!("secrets/{path}"), patch).await,
            200
        );
        let mut data = data;
        data["patched"] = patched.into();
        self.stored.push((path, "data", data));
        let bytes = self.next();
        let (path, bytes) = (self.path("bytes"), BASE64.encode(bytes.as_bytes()));
        assert_eq!(
            self.raw(
                "put bytes",
                "PUT",
                &format!("secrets/{path}"),
                json!({ "bytes": bytes }).to_string()
            )
            .await,
            201
        );
        self.stored.push((path, "bytes", bytes.into()));
    }

    /// The same change again, the same id for another value, a stale `cas`.
    async fn repeats(&mut self) {
        let text = self.next();
        let (path, id) = (self.path("repeat"), format!("{:032x}", self.sent));
        let url = format!("{}/api/v1/secrets/{path}", self.root.address);
        for (value, wanted) in [(text.clone(), 201), (text.clone(), 200), (self.next(), 409)] {
            let request = self
                .root
                .http
                .put(&url)
                .bearer_auth(self.root.token.as_deref().unwrap());
            let request = request
                .header("Idempotency-Key", &id)
                .body(json!({ "value": value }).to_string());
            assert_eq!(self.keep("Idempotency-Key", request).await, wanted);
        }
        let stale = json!({ "value": self.next(), "cas": 0 }).to_string();
        assert_eq!(
            self.raw("stale cas", "PUT", &format!("secrets/{path}"), stale).await,
            409
        );
        self.stored.push((path, "value", text.into()));
    }

    async fn batches(&mut self) {
        for atomic in [true, false] {
            let mut writes = Vec::new();
            for _ in 0..10 {
                let text = self.next();
                let path = self.path("batch");
                writes.push(json!({ "path": path, "value": text }));
                self.stored.push((path, "value", text.into()));
            }
            let body = json!({ "writes": writes, "atomic": atomic }).to_string();
            assert_eq!(self.raw("batch", "POST", "batch", body).await, 200);
        }
        let refused = json!({ "writes": [{ "path": "canaries//x", "value": self.next() }] }).to_string();
        assert_eq!(self.raw("batch to a bad path", "POST", "batch", refused).await, 400);
        let stale = json!({ "writes": [{ "path": "canaries/stale", "value": self.next(), "cas": 9 }], "atomic": true });
        assert_eq!(self.raw("stale batch", "POST", "batch", stale.to_string()).await, 409);
    }

    /// Bodies that are refused, with the value where it belongs and where it does not.
    async fn refusals(&mut self) {
        let quoted = |canary: String| serde_json::to_string(&canary).unwrap();
        let shapes: [fn(&str) -> String; 14] = [
            |canary| format!("{{\"value\":{}", canary.trim_end_matches('"')),
            |canary| format!("{{\"value\":{canary}"),
            |canary| format!("{{\"value\":{canary}}} {canary}"),
            |canary| format!("{{\"value\":[{canary}]}}"),
            |canary| format!("{{\"value\":{{{canary}:1}}}}"),
            |canary| format!("{{\"value\":{canary},\"cas\":{canary}}}"),
            |canary| format!("{{\"value\":{canary},\"id\":{canary}}}"),
            |canary| format!("{{\"value\":{canary},\"labels\":[{canary}]}}"),
            |canary| format!("{{\"value\":{canary},\"bytes\":{canary}}}"),
            |canary| format!("{{\"bytes\":{canary}}}"),
            |canary| format!("{{\"data\":{canary}}}"),
            |canary| format!("{{\"data\":{{{canary}:1,{canary}:2}}}}"),
            |canary| format!("{{{canary}:1}}"),
            |canary| canary.to_owned(),
        ];
        for (number, shape) in shapes.into_iter().enumerate() {
            let body = shape(&quoted(self.next()));
            let status = self
                .raw(
                    &format!("malformed body {number}"),
                    "PUT",
                    "secrets/canaries/refused",
                    body,
                )
                .await;
            // Duplicate keys inside an object are the client's own business.
            assert!(matches!(status, 400 | 200 | 201), "malformed body {number}: {status}");
        }
        let text = format!("{}{}", self.next(), "x".repeat(70_000));
        assert_eq!(
            self.raw(
                "too long",
                "PUT",
                "secrets/canaries/long",
                json!({ "value": text }).to_string()
            )
            .await,
            413
        );
        let text = format!("{}{}", self.next(), "x".repeat(1 << 20));
        assert_eq!(
            self.raw(
                "far too long",
                "PUT",
                "secrets/canaries/long",
                json!({ "value": text }).to_string()
            )
            .await,
            413
        );
        for (method, path) in [
            ("POST", "policies/x"),
            ("PUT", "policies/x"),
            ("PUT", "roles/x"),
            ("POST", "clients"),
            ("POST", "versions/canaries/text/1"),
            ("PUT", "labels/canaries/x"),
            ("POST", "batch"),
            ("PUT", "metadata/canaries/x"),
            ("PATCH", "metadata/canaries/x"),
            ("GET", "secrets/canaries/x"),
            ("POST", "auth/client/login"),
        ] {
            let body =
                json!({ "value": self.next(), "name": [self.next()], "action": self.next(), "rules": self.next() });
            let status = self
                .raw(&format!("{method} {path}"), method, path, body.to_string())
                .await;
            assert!((400..500).contains(&status), "{method} {path}: {status}");
        }
    }

    /// Values in the place of tokens and client secrets.
    async fn bad_credentials(&mut self) {
        let url = format!("{}/api/v1/secrets/canaries/x", self.root.address);
        for scheme in ["Bearer ", "Bearer srs_", "Basic ", ""] {
            let header = format!("{scheme}{}", self.next().replace('ü', "u"));
            let request = self.root.http.get(&url).header("Authorization", header.trim());
            assert_eq!(self.keep("bad token", request).await, 401);
        }
        for id in ["nobody".to_owned(), self.next()] {
            let body = json!({ "client_id": id, "client_secret": self.next() });
            assert_eq!(
                self.raw("failed login", "POST", "auth/client/login", body.to_string())
                    .await,
                401
            );
        }
    }

    /// A workload's real credentials, used well and badly.
    async fn credentials(&mut self) {
        let rules = json!([{ "path": "secret/canaries/*", "capabilities": ["read"] }]);
        let login = self.root.workload_login("canary", rules).await;
        let secret = login["client_secret"].as_str().unwrap().to_owned();
        let (status, token) = self.root.post("auth/client/login", login.clone()).await;
        assert_eq!(status, 200);
        let token = token["access_token"].as_str().unwrap().to_owned();
        // The claims are no secret; what proves them is.
        let (_, signature) = token.rsplit_once('.').unwrap();
        self.credentials
            .extend([secret.clone().into_bytes(), signature.as_bytes().to_vec()]);
        let (status, slot) = self
            .root
            .post("keys/slots", json!({ "name": "safe", "method": "recovery" }))
            .await;
        assert_eq!(status, 201);
        self.credentials.push(slot["key"].as_str().unwrap().as_bytes().to_vec());
        let words = self.next();
        let slot = json!({ "name": "words", "method": "passphrase", "passphrase": words });
        assert_eq!(
            self.raw("a passphrase", "POST", "keys/slots", slot.to_string()).await,
            201
        );
        self.passwords().await;
        let spoilt = json!({ "client_id": login["client_id"], "client_secret": format!("{secret}x") });
        assert_eq!(
            self.raw("spoilt secret", "POST", "auth/client/login", spoilt.to_string())
                .await,
            401
        );
        let swapped = json!({ "client_id": secret, "client_secret": login["client_id"] });
        assert_eq!(
            self.raw("swapped login", "POST", "auth/client/login", swapped.to_string())
                .await,
            401
        );
        let url = format!("{}/api/v1/secrets/canaries/none", self.root.address);
        for token in [token.clone(), format!("{token}x"), secret] {
            let request = self.root.http.get(&url).bearer_auth(token);
            self.keep("a workload's token", request).await;
        }
    }

    /// An operator's passwords, used well and badly; names that somebody claims are nobody's business either.
    async fn passwords(&mut self) {
        let (first, second) = (self.next(), self.next());
        let body = json!({ "policies": ["reader"] }).to_string();
        assert_eq!(self.raw("operator", "PUT", "operators/canary", body).await, 200);
        for (password, wanted) in [(first.clone(), 204), ("ü".repeat(2000), 400)] {
            let body = json!({ "password": password }).to_string();
            let status = self.raw("password", "PUT", "operators/canary/password", body).await;
            assert_eq!(status, wanted);
        }
        for body in [
            json!({ "password": [self.next()] }),
            json!({ "password": first, (self.next()): 1 }),
        ] {
            let body = body.to_string();
            assert_eq!(
                self.raw("malformed password", "PUT", "operators/canary/password", body)
                    .await,
                400
            );
        }
        let login = json!({ "username": "canary", "password": first });
        let (status, token) = self.root.post("auth/password/login", login).await;
        assert_eq!(status, 200, "{token}");
        let operator = self.root.with_token(token["access_token"].as_str().unwrap());
        self.credentials
            .push(operator.token.as_deref().unwrap().as_bytes().to_vec());
        let wrong = json!({ "current_password": self.next(), "password": second });
        assert_eq!(operator.put("auth/password", wrong).await.0, 403);
        let own = json!({ "current_password": first, "password": second });
        assert_eq!(operator.put("auth/password", own).await.0, 204);
        for (name, password) in [
            ("canary".to_owned(), first),
            (self.next(), second),
            (self.next(), self.next()),
        ] {
            let body = json!({ "username": name, "password": password }).to_string();
            assert_eq!(self.raw("failed login", "POST", "auth/password/login", body).await, 401);
        }
        let body = json!({ "username": self.next(), "password": { (self.next()): self.next() } }).to_string();
        assert_eq!(
            self.raw("malformed login", "POST", "auth/password/login", body).await,
            400
        );
        let file = self.dir.join("canary-password");
        std::fs::write(&file, self.next()).unwrap();
        let file = file.to_str().unwrap().to_owned();
        assert_eq!(
            self.client(&["operators", "password", "canary", "--password-file", &file], b""),
            0
        );
        assert_eq!(
            self.client(&["login", "--username", "canary", "--password-file", &file], b""),
            0
        );
        let text = self.next();
        assert_eq!(
            self.client(
                &["login", "--username", "canary", "--password-file", "-"],
                text.as_bytes()
            ),
            4
        );
    }

    fn client(&mut self, args: &[&str], stdin: &[u8]) -> i32 {
        let token = self.root.token.clone().unwrap();
        let environment = [
            ("STRONGROOM_ADDR", self.root.address.as_str()),
            ("STRONGROOM_TOKEN", token.as_str()),
            ("HOME", self.dir.to_str().unwrap()),
        ];
        let (code, stdout, stderr) = run(args, &environment, stdin);
        self.answers
            .push((format!("{} says", args[0]), [stdout, stderr.into_bytes()].concat()));
        code
    }

    fn imports(&mut self) {
        for round in 0..2 {
            let mut file = String::new();
            for _ in 0..25 {
                let text = self.next();
                writeln!(file, "C{}='{text}'", self.sent).unwrap();
                self.stored
                    .push((format!("canaries/import/C{}", self.sent), "value", text.into()));
            }
            let path = self.dir.join(format!("canaries-{round}.env"));
            std::fs::write(&path, &file).unwrap();
            for _ in 0..2 {
                assert_eq!(
                    self.client(&["import", path.to_str().unwrap(), "--prefix", "canaries/import"], b""),
                    0
                );
            }
            let broken = format!("A={}\n{}\n", self.next(), self.next());
            assert_eq!(
                self.client(&["import", "-", "--prefix", "canaries/broken"], broken.as_bytes()),
                1
            );
        }
    }

    fn command_line(&mut self) {
        for _ in 0..5 {
            let text = self.next();
            let path = self.path("stdin");
            assert_eq!(self.client(&["put", &path, "-"], text.as_bytes()), 0);
            self.stored.push((path, "value", text.into()));
            let (path, text) = (self.path("refused"), self.next());
            assert_eq!(self.client(&["put", &path, &text], b""), 1);
            let text = self.next();
            assert_eq!(self.client(&["put", &path, "-", "--cas", "7"], text.as_bytes()), 5);
        }
    }

    /// Everything stored is what was sent: the canaries really are in there.
    pub(super) async fn read_back(&self) {
        for chunk in self.stored.chunks(100) {
            let reads: Vec<Value> = chunk.iter().map(|(path, ..)| json!({ "path": path })).collect();
            let (status, answer) = self.root.post("batch", json!({ "reads": reads })).await;
            assert_eq!(status, 200, "{answer}");
            for ((path, field, content), item) in chunk.iter().zip(answer["items"].as_array().unwrap()) {
                assert_eq!(&item[*field], content, "{path}");
            }
        }
        assert!(
            self.stored.len() * 3 > self.sent,
            "{} of {} are stored",
            self.stored.len(),
            self.sent
        );
    }
}
