//! The API's description is true: every example in it is sent and answered as it says, in the shape that it says, and
//! its routes are those that there are.

pub(crate) mod description;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::harness::{Api, On, Store};
use crate::issuer::Issuer;
use crate::methods::HOME;
use description::{Description, Example};

/// An order in which each example finds what it is about.
const ORDER: &[&str] = &[
    "writePolicy/policy",
    "listPolicies/all",
    "readPolicy/policy",
    "readPolicyHistory/policy",
    "writeRole/role",
    "whoCan/read",
    "writePolicy/dryRun",
    "listRoles/all",
    "readRole/role",
    "writeMethod/method",
    "writeMethod/people",
    "listMethods/all",
    "readMethod/method",
    "writeRole/bound",
    "startLogin/start",
    "startLogin/device",
    "loginByMethod/job",
    "deleteMethod/method",
    "createClient/client",
    "listClients/all",
    "readClient/client",
    "explain/access",
    "login/login",
    "addClientSecret/second",
    "deleteClientSecret/second",
    "writeGroup/group",
    "listGroups/all",
    "readGroup/group",
    "writeOperator/operator",
    "listOperators/all",
    "readOperator/operator",
    "resetPassword/password",
    "loginOperator/login",
    "renewToken/own",
    "lookUpToken/own",
    "beginTotp/own",
    "confirmTotp/own",
    "removeTotp/lost",
    "changePassword/own",
    "whoAmI/root",
    "deleteOperator/operator",
    "deleteGroup/group",
    "writeSecret/object",
    "writeSecret/text",
    "writeSecret/repeated",
    "writeSecret/bytes",
    "readSecret/current",
    "searchAudit/reads",
    "readSecret/numbered",
    "patchSecret/password",
    "readHistory/history",
    "replaceMetadata/metadata",
    "patchMetadata/nobody's",
    "readMetadata/metadata",
    "moveLabel/canary",
    "removeLabel/canary",
    "writeFlag/flag",
    "listFlags/all",
    "readFlag/flag",
    "listFlagSets/all",
    "writeSharedRules/rules",
    "readSharedRules/rules",
    "readFlagdDocument/set",
    "evaluateFlag/staff",
    "evaluateFlags/staff",
    "writeFlag/on",
    "readFlagHistory/flag",
    "readFlagCounts/hour",
    "changeFlag/rollback",
    "createBrowserKey/shop",
    "listBrowserKeys/all",
    "deleteBrowserKey/shop",
    "copyFlags/staging",
    "importFlags/banner",
    "deleteFlag/flag",
    "listTop/top",
    "listRoot/top",
    "listFolder/search",
    "batch/writes",
    "batch/reads",
    "watch/now",
    "watch/since",
    "reportUnused/year",
    "reportStale/year",
    "reportStaleFlags/month",
    "deleteSecret/current",
    "changeVersions/undelete",
    "changeVersions/destroy",
    "writeRotation/key",
    "tellRotation/now",
    "listRotations/all",
    "readRotation/key",
    "deleteRotation/key",
    "writeTarget/database",
    "listTargets/all",
    "readTarget/database",
    "writeLeaseRole/reports",
    "listLeaseRoles/all",
    "readLeaseRole/reports",
    "listLeases/all",
    "listDeadLetters/all",
    "deleteLeaseRole/reports",
    "deleteTarget/database",
    "deleteMetadata/retired",
    "restoreSecret/restored",
    "deleteMetadata/purged",
    "createToken/reader",
    "listTokens/all",
    "revokeTokens/held",
    "introspectToken/unknown",
    "revokeTokens/role",
    "createNamespace/one",
    "listNamespaces/all",
    "readNamespace/one",
    "createNamespaceToken/one",
    "deleteNamespace/one",
    "rotateSigningKey/rotated",
    "rotateDataKey/rotated",
    "listSlots/all",
    "addSlot/safe",
    "removeSlot/safe",
    "erasePrincipal/workload",
    "deleteClient/client",
    "deleteRole/role",
    "deletePolicy/policy",
    "version/version",
    "alive/alive",
    "ready/ready",
    "metrics/metrics",
    "description/description",
    "jwks/jwks",
    "discovery/discovery",
];

/// These need a server that has users, or a webhook that takes nothing, and have tests of their own.
const OF_OTHERS: [&str; 5] = [
    "createLease",
    "readLease",
    "renewLease",
    "revokeLease",
    "tellDeadLetter",
];

/// Asked by the operator that logged in last; all else by root.
const BY_AN_OPERATOR: &[&str] = &[
    "renewToken/own",
    "lookUpToken/own",
    "beginTotp/own",
    "confirmTotp/own",
    "changePassword/own",
];

/// Answers of which an example shows the form alone: tokens are listed by their hashes, and counts are written later.
const UNPREDICTABLE: &[&str] = &["metrics/metrics", "listTokens/all", "readFlagCounts/hour"];

/// What a server chooses, so that an example cannot know it.
const CHOSEN: &[&str] = &[
    "access_token",
    "authorization_url",
    "accessor",
    "batch",
    "client_id",
    "client_secret",
    "created_by",
    "device_code",
    "epoch",
    "id",
    "issuer",
    "key",
    "jwks",
    "jwks_uri",
    "key_id",
    "kid",
    "last_used_at",
    "next_cursor",
    "place",
    "principal",
    "requestUri",
    "request_id",
    "revision",
    "secret_id",
    "source",
    "secret",
    "state",
    "token",
    "uri",
    "verification_uri",
    "verification_uri_complete",
    "token_endpoint",
    "x",
];

fn is_chosen(field: &str) -> bool {
    CHOSEN.contains(&field) || field.ends_with("_at") || field.ends_with("_until") || field == "at"
}

/// What stands in the example and not in the answer; a list is compared as far as the shorter goes.
fn missing(place: &str, wanted: &Value, found: &Value, faults: &mut Vec<String>) {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (field, value) in wanted {
                let place = format!("{place}.{field}");
                match found.get(field) {
                    None => faults.push(format!("{place} is missing")),
                    Some(_) if is_chosen(field) => {}
                    Some(found) => missing(&place, value, found, faults),
                }
            }
        }
        (Value::Array(wanted), Value::Array(found)) => {
            for (at, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                missing(&format!("{place}.{at}"), wanted, found, faults);
            }
            if wanted.is_empty() != found.is_empty() {
                faults.push(format!("{place}: {found:?}"));
            }
        }
        _ if wanted == found => {}
        _ => faults.push(format!("{place} is {found}, not {wanted}")),
    }
}

/// Ids that the server chose, instead of those of the examples.
fn learn(wanted: &Value, found: &Value, known: &mut BTreeMap<String, String>) {
    for field in [
        "client_id",
        "client_secret",
        "secret_id",
        "key_id",
        "principal",
        "token",
    ] {
        if let (Some(example), Some(real)) = (wanted[field].as_str(), found[field].as_str()) {
            known.insert(example.to_owned(), real.to_owned());
        }
    }
}

fn real(text: &str, known: &BTreeMap<String, String>) -> String {
    known
        .iter()
        .fold(text.to_owned(), |text, (example, real)| text.replace(example, real))
}

/// Who vouches in earnest for whom the examples vouch for.
async fn vouching() -> BTreeMap<String, String> {
    let issuer = Issuer::start().await;
    *issuer.seen.device.lock().unwrap() = json!({
        "user_code": "WDJB-MJHT", "verification_uri_complete": "https://login.example/device?user_code=WDJB-MJHT", "interval": 5,
    });
    let claims = json!({ "iss": "https://ci.example", "aud": "https://strongroom.example" });
    let within = |text: &str| json!(text).to_string().trim_matches('"').to_owned();
    let replaced = [
        ("eyJhbGciOiJFZERTQSJ9.e30.c2ln".to_owned(), issuer.token(&claims)),
        (within(r#"{"keys":[]}"#), within(&issuer.jwks())),
        ("https://login.example".to_owned(), issuer.url),
    ];
    replaced.into_iter().collect()
}

async fn every_example_is_answered_so(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[HOME]);
    let root = Api::new(&server, store.root_token());
    let description = Description::of(&root).await;
    let examples = description.examples();
    let order: BTreeSet<&str> = ORDER.iter().copied().collect();
    assert_eq!(order, examples.keys().map(String::as_str).collect(), "every example");
    assert_eq!(order.len(), ORDER.len(), "each once");
    let with_examples = ORDER.iter().filter_map(|name| name.split('/').next());
    let with_examples: BTreeSet<&str> = with_examples.chain(OF_OTHERS).chain(["followFlags"]).collect();
    assert_eq!(with_examples, description.ids(), "every operation has one");
    let (mut faults, mut known) = (Vec::new(), vouching().await);
    let mut operators: Option<String> = None;
    for name in ORDER {
        let Example {
            method,
            path,
            body,
            status,
            answer,
            operation,
        } = &examples[*name];
        if let Some(body) = body {
            faults.extend(description.misfit(&format!("{name}, request"), &operation["requestBody"]["content"], body));
        }
        let body = body.as_ref().map(|body| real(&body.to_string(), &known));
        let token = operation
            .get("security")
            .is_none()
            .then_some(root.token.as_deref())
            .flatten();
        let token = if BY_AN_OPERATOR.contains(name) {
            operators.as_deref()
        } else {
            token
        };
        let (found, shown, text) = description::send(&root, method, &real(path, &known), token, body).await;
        if found != *status {
            faults.push(format!("{name}: {found}, not {status}: {text}"));
            continue;
        }
        let content = &operation["responses"][status.to_string()]["content"];
        let Some(answer) = answer else {
            assert!(text.is_empty(), "{name}: {text}");
            continue;
        };
        faults.extend(description.misfit(&format!("{name}, example"), content, answer));
        faults.extend(description.misfit(&format!("{name}, answer"), content, &shown));
        if !UNPREDICTABLE.contains(name) {
            missing(name, answer, &shown, &mut faults);
        }
        learn(answer, &shown, &mut known);
        if *name == "beginTotp/own" {
            let code = crate::identity::code_now(shown["secret"].as_str().unwrap());
            known.insert("492039".to_owned(), code);
        }
        if *name == "loginOperator/login" {
            operators = shown["access_token"].as_str().map(str::to_owned);
        }
    }
    println!("{on:?}: {} examples, {} faults", ORDER.len(), faults.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    server.terminate();
}

/// By the table, and by what the server itself says of each path.
async fn routes_are_those_that_there_are(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    let description = Description::of(&root).await;
    let table: BTreeSet<(String, String)> = strongroom_http::every_route()
        .into_iter()
        .map(|route| (route.path.replace("{*", "{"), route.method))
        .collect();
    assert_eq!(table, description.routes());
    for (template, examples) in description.paths() {
        let options = reqwest::Method::OPTIONS;
        let answer = root
            .http
            .request(options, format!("{}{}", root.address, examples))
            .send()
            .await
            .unwrap();
        let allow = answer.headers()["allow"].to_str().unwrap();
        let served: BTreeSet<&str> = allow
            .split(',')
            .map(str::trim)
            .filter(|method| *method != "HEAD")
            .collect();
        let said: BTreeSet<&str> = table
            .iter()
            .filter(|(path, _)| *path == template)
            .map(|(_, method)| method.as_str())
            .collect();
        assert_eq!(served, said, "{template}");
    }
    server.terminate();
}

/// No token, and a body that is none: each operation says that it may answer so, and how.
async fn refusals_are_as_described(on: On) {
    let store = Store::fresh(on);
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    let description = Description::of(&root).await;
    let mut faults = Vec::new();
    for (name, example) in description.examples() {
        let guarded = example.operation.get("security").is_none();
        let mut expected = Vec::new();
        if guarded {
            expected.push((401, None, example.body.as_ref().map(Value::to_string)));
        }
        if example.body.is_some() {
            // OFREP's clients may send what a newer version of it has.
            let lenient = example.path.starts_with("/flags/");
            let wrong = if lenient { json!(7) } else { json!({ "surprise": 1 }) };
            expected.push((400, root.token.as_deref(), Some(wrong.to_string())));
        }
        for (status, token, body) in expected {
            let (found, shown, text) = description::send(&root, &example.method, &example.path, token, body).await;
            let said = description.resolved(&example.operation["responses"][found.to_string()]);
            if found != status || said.is_null() {
                faults.push(format!("{name}: {found}, not {status}: {text}"));
            }
            faults.extend(description.misfit(&name, &said["content"], &shown));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    server.terminate();
}

on_both_stores!(
    every_example_is_answered_so,
    routes_are_those_that_there_are,
    refusals_are_as_described,
);
