//! `--show-curl`: a verb's requests as commands for a shell, instead of sending them.
//!
//! The token stands there by its variable's name. A body that may hold a value is read from stdin, and only its shape is
//! told.

use serde_json::Value;
use serde_json::value::RawValue;
use strongroom_api::client::reqwest::{Method, Request};
use strongroom_api::{BASE, path};

use super::{Common, Verb, field};

/// Fields that never hold a secret. What stands under another name is masked, a new field too, until it is added here.
const OPEN: [&str; 27] = [
    "access_token_ttl",
    "action",
    "atomic",
    "capabilities",
    "cas",
    "cas_required",
    "delete_after",
    "description",
    "groups",
    "id",
    "label",
    "labels",
    "max_versions",
    "name",
    "owner",
    "path",
    "policies",
    "reads",
    "role",
    "rules",
    "tags",
    "type",
    "unless_same",
    "username",
    "version",
    "versions",
    "writes",
];
const BEARER: &str = "-H \"Authorization: Bearer $STRONGROOM_TOKEN\" ";
const MASK: &str = r#""…""#;

pub(super) fn command(common: &Common, request: &Request) -> String {
    let mut command = start(common, request.method(), request.url().as_str());
    // Who logs in has no token yet.
    let path = request.url().path();
    if path.starts_with(&format!("{BASE}/auth/")) && path.ends_with("/login") {
        command = command.replace(BEARER, "");
    }
    let Some(body) = request.body() else { return command };
    let json = body.as_bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
    let shape = json.map_or_else(|| MASK.to_owned(), shape);
    if shape.contains(MASK) {
        format!("# stdin: {shape}\n{command} -d @-")
    } else {
        format!("{command} -d {}", quoted(&shape))
    }
}

/// The request that a verb builds from the answer to its first one, of which there is none here.
pub(super) fn following(verb: &Verb, common: &Common) -> Option<String> {
    let (method, path) = match verb {
        Verb::Edit(edit) => (Method::PUT, format!("secrets/{}", edit.path)),
        Verb::Undelete(undelete) if undelete.versions.is_empty() => {
            (Method::POST, format!("versions/{}", undelete.path))
        }
        Verb::Rollback(_) => (Method::POST, "batch".to_owned()),
        Verb::Run(run) if run.wanted.has_folders() => (Method::POST, "batch".to_owned()),
        Verb::Export(export) if export.wanted.has_folders() => (Method::POST, "batch".to_owned()),
        Verb::Flag(flag) => flag.following()?,
        _ => return None,
    };
    let addr = common.addr.trim_end_matches('/');
    let command = start(common, &method, &format!("{addr}{BASE}/{}", path::encode(&path)));
    Some(format!("# then, built from what that answers:\n{command} -d @-"))
}

fn start(common: &Common, method: &Method, url: &str) -> String {
    let method = match *method {
        Method::GET => String::new(),
        _ => format!("-X {method} "),
    };
    // Outside the API, evaluations of flags alone take a token.
    let takes = url.contains(BASE) || url.contains("/ofrep/");
    let token = if takes { BEARER } else { "" };
    let tls: String = [
        ("--cacert", &common.ca_cert),
        ("--cert", &common.client_cert),
        ("--key", &common.client_key),
    ]
    .into_iter()
    .filter_map(|(option, file)| Some(format!("{option} {} ", quoted(&file.as_ref()?.to_string_lossy()))))
    .collect();
    format!("curl {tls}{method}{token}{}", quoted(url))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A body with a mask in the place of every value that is not open.
fn shape(json: &str) -> String {
    if let Some(fields) = field::all(json) {
        let fields = fields.into_iter().map(|(name, value)| {
            let open = OPEN.contains(&name.as_str());
            let value = if open { shape(value.get()) } else { MASK.to_owned() };
            format!("{}:{value}", Value::from(name))
        });
        format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
    } else if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(json) {
        let items = items.into_iter().map(|item| shape(item.get()));
        format!("[{}]", items.collect::<Vec<_>>().join(","))
    } else {
        json.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strongroom_api::With;
    use strongroom_api::batch::{BatchRequest, BatchWriteOptions};
    use strongroom_api::client::{Client, Error};
    use strongroom_api::secrets::WriteOptions;
    use strongroom_domain::{Payload, SecretPath};

    use super::super::Format;
    use super::*;

    fn common(ca: Option<&str>) -> Common {
        Common {
            addr: String::new(),
            namespace: None,
            ca_cert: ca.map(Into::into),
            client_cert: None,
            client_key: None,
            verbose: false,
            output: Format::default(),
            show_curl: true,
        }
    }

    #[test]
    fn whom_to_believe_is_said() {
        let shown = start(&common(Some("a b.pem")), &Method::GET, "https://x/health");
        assert_eq!(shown, "curl --cacert 'a b.pem' 'https://x/health'");
    }

    async fn shown(body: &impl serde::Serialize) -> String {
        let client = Client::new("http://127.0.0.1:1", Some("srs_hunter2".into()))
            .unwrap()
            .unsending();
        match client.call::<()>(Method::PUT, "x", &(), Some(body)).await {
            Err(Error::Unsent(request)) => command(&common(None), &request),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn an_open_body_is_whole_and_a_value_is_read_from_stdin() {
        let start = "curl -X PUT -H \"Authorization: Bearer $STRONGROOM_TOKEN\" 'http://127.0.0.1:1/api/v1/x' -d";
        let label = serde_json::json!({"label": "it's", "version": 2});
        assert_eq!(
            shown(&label).await,
            format!(r#"{start} '{{"label":"it'\''s","version":2}}'"#)
        );
        let options = WriteOptions {
            cas: Some(3),
            ..WriteOptions::default()
        };
        let write = With::new(Payload::text("hunter2".into()), options).unwrap();
        assert_eq!(
            shown(&write).await,
            format!("# stdin: {{\"cas\":3,\"value\":\"…\"}}\n{start} @-")
        );
    }

    fn payload() -> impl Strategy<Value = Payload> {
        let name = proptest::sample::select(vec!["path", "value", "cas", "writes", "a\"b", "data", "label"]);
        let object = proptest::collection::btree_map(name, "hunter2-\\PC{0,8}", 0..4);
        let depths = (object, 0..3_usize).prop_map(|(object, depth)| {
            let leaf = serde_json::json!(object);
            let nested = (0..depth).fold(
                leaf,
                |inner, _| serde_json::json!({"writes": [inner], "hunter2-": "hunter2-"}),
            );
            Payload::json(nested.to_string()).unwrap()
        });
        prop_oneof![
            depths,
            "hunter2-[ -~\n]{0,20}".prop_map(Payload::text),
            proptest::collection::vec(any::<u8>(), 1..20)
                .prop_map(|tail| { Payload::binary([&b"hunter2-hunter2-"[..], &tail].concat()) }),
        ]
    }

    proptest! {
        #[test]
        fn no_value_is_shown(payloads in proptest::collection::vec(payload(), 1..4)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let writes = payloads.into_iter().enumerate().map(|(number, payload)| {
                let path = SecretPath::parse(&format!("a/{number}")).unwrap().to_string();
                With::new(payload, BatchWriteOptions { path, unless_same: true, ..BatchWriteOptions::default() }).unwrap()
            });
            let shown = runtime.block_on(shown(&BatchRequest::writes(writes.collect(), true)));
            prop_assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyM"), "{}", shown);
            prop_assert!(shown.contains("\"path\":\"a/0\"") && shown.contains("$STRONGROOM_TOKEN"), "{}", shown);
        }
    }
}
