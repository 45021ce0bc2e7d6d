//! `--show-curl`: commands that do what the verb does, without the verb having done it.

use std::process::Command;

use serde_json::{Value, json};

use super::Shell;
use crate::harness::{On, run};

/// What a shell makes of one shown command.
#[derive(Debug)]
struct Request {
    method: String,
    authorization: String,
    url: String,
    body: Option<String>,
}

impl Shell {
    /// Shown by a program that has no token and could reach no server but this one.
    fn shown(&self, args: &[&str], stdin: &[u8]) -> String {
        let environment = [("STRONGROOM_ADDR", self.address.as_str())];
        let (code, stdout, stderr) = run(&[&["--show-curl"], args].concat(), &environment, stdin);
        assert_eq!((code, stderr.as_str()), (0, ""), "{args:?}");
        String::from_utf8(stdout).unwrap()
    }

    fn requests(&self, shown: &str) -> Vec<Request> {
        let script = format!("curl() {{ printf '%s\\0' \"$@\"; printf '\\1\\0'; }}\n{shown}");
        let output = Command::new("sh")
            .args(["-c", &script])
            .env("STRONGROOM_TOKEN", &self.token)
            .output()
            .unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{shown}: {output:?}"
        );
        let words = String::from_utf8(output.stdout).unwrap();
        let commands = words.split_terminator("\u{1}\0");
        commands
            .map(|command| request(command.split_terminator('\0')))
            .collect()
    }

    /// Sends what was shown, with `stdin` where it reads that.
    async fn send(&self, request: &Request, stdin: &Value) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(request.method.as_bytes()).unwrap();
        let http = self.api().http;
        let mut sent = http.request(method, &request.url);
        let (name, value) = request.authorization.split_once(": ").unwrap();
        sent = sent.header(name, value);
        if let Some(body) = &request.body {
            sent = sent.body(if body == "@-" { stdin.to_string() } else { body.clone() });
        }
        let answer = sent.send().await.unwrap();
        let status = answer.status().as_u16();
        (
            status,
            serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null),
        )
    }

    /// The answer to the only command that is shown.
    async fn done(&self, args: &[&str]) -> Value {
        let shown = self.shown(args, b"");
        let [request] = &self.requests(&shown)[..] else {
            panic!("{args:?}: {shown}")
        };
        let (status, answer) = self.send(request, &Value::Null).await;
        assert!((200..300).contains(&status), "{args:?}: {shown}: {answer}");
        answer
    }
}

fn request<'a>(mut words: impl Iterator<Item = &'a str>) -> Request {
    let mut found = Request {
        method: "GET".into(),
        authorization: String::new(),
        url: String::new(),
        body: None,
    };
    while let Some(word) = words.next() {
        match word {
            "-X" => found.method = words.next().unwrap().into(),
            "-H" => found.authorization = words.next().unwrap().into(),
            "-d" => found.body = Some(words.next().unwrap().into()),
            url => found.url = url.into(),
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_does_what_the_verb_does() {
    let shell = Shell::on(On::Sqlite);
    shell.ok(&["put", "c/it's a $(path)#", "-"], b"one");
    shell.ok(&["put", "c/a", "-"], b"one");
    shell.ok(&["put", "c/a", "-"], b"two");
    for args in [
        &["get", "c/a"][..],
        &["get", "c/it's a $(path)##"],
        &["get", "c/a", "--label", "previous"],
        &["list", "c"],
        &["list", "c", "-r"],
        &["history", "c/a"],
        &["metadata", "c/a"],
        &["search", ""],
    ] {
        assert_eq!(shell.done(args).await, shell.json(args), "{args:?}");
    }
    let both = shell.done(&["diff", "c/a", "1", "current"]).await;
    assert_eq!(
        (&both["items"][0]["value"], &both["items"][1]["value"]),
        (&json!("one"), &json!("two"))
    );

    shell.done(&["label", "c/a", "it.s", "1"]).await;
    shell
        .done(&["metadata", "c/a", "--set", "description=it's \"$(x)\" `y`"])
        .await;
    let described = shell.json(&["metadata", "c/a"]);
    assert_eq!(described["description"], "it's \"$(x)\" `y`");
    assert_eq!(shell.ok(&["get", "c/a", "--label", "it.s"], b""), b"one");
    shell.done(&["label", "c/a", "it.s", "--remove"]).await;
    shell.fails(&["get", "c/a", "--label", "it.s"], 3, "");
    shell.done(&["delete", "c/a"]).await;
    shell.fails(&["get", "c/a"], 3, "deleted");
    shell.done(&["undelete", "c/a", "2"]).await;
    let policy = shell.file(
        "policy.json",
        r#"{"rules":[{"path":"secret/c/*","capabilities":["read"]}]}"#,
    );
    shell.done(&["policy", "put", "c", &policy]).await;
    shell
        .done(&["role", "put", "c", "--policy", "c", "--access-token-ttl", "60"])
        .await;
    assert_eq!(shell.json(&["role", "get", "c"])["policies"], json!(["c"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_left_to_stdin_and_a_second_request_is_named() {
    let shell = Shell::on(On::Sqlite);
    let shown = shell.shown(&["put", "c/a", "-", "--cas", "0"], b"hunter2");
    assert!(
        shown.starts_with("# stdin: {\"cas\":0,\"value\":\"…\"}\ncurl -X PUT "),
        "{shown}"
    );
    assert!(shown.contains("$STRONGROOM_TOKEN"), "{shown}");
    let [put] = &shell.requests(&shown)[..] else {
        panic!("{shown}")
    };
    assert_eq!(shell.send(put, &json!({"cas": 0, "value": "one"})).await.0, 201);
    assert_eq!(shell.ok(&["get", "c/a"], b""), b"one");

    for (args, method, path) in [
        (&["edit", "c/a"][..], "PUT", "secrets/c/a"),
        (&["rollback", "c/a", "--to", "1"], "POST", "batch"),
        (&["undelete", "c/a"], "POST", "versions/c/a"),
        (&["run", "--prefix", "c", "--", "false"], "POST", "batch"),
        (&["export", "--prefix", "c"], "POST", "batch"),
    ] {
        let shown = shell.shown(args, b"");
        let [first, second] = &shell.requests(&shown)[..] else {
            panic!("{shown}")
        };
        assert_eq!(shell.send(first, &Value::Null).await.0, 200, "{shown}");
        let url = shell.server.url(&format!("/api/v1/{path}"));
        assert_eq!((second.method.as_str(), &second.url), (method, &url), "{shown}");
        assert_eq!(second.body.as_deref(), Some("@-"));
        // Not "no such route": the request lacks nothing but its body.
        assert_eq!(shell.send(second, &json!({})).await.0, 400, "{shown}");
    }
    assert_eq!(shell.json(&["history", "c/a"])["versions"].as_array().unwrap().len(), 1);
}
