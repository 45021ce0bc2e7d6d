//! Requests that nobody wrote: any method, path, query and body, near what is valid and far from it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use strongroom_testkit::scale;

use super::{Target, check, corpus, raw};
use crate::harness::{On, Store};

const CASES: f64 = 400.0;

#[derive(Debug, Clone)]
struct Request {
    method: &'static str,
    target: Vec<u8>,
    body: Vec<u8>,
}

fn segment() -> impl Strategy<Value = Vec<u8>> {
    let nasty = select(
        corpus::tails()
            .into_iter()
            .filter(|tail| tail.len() < 1000)
            .collect::<Vec<_>>(),
    );
    prop_oneof![
        2 => "[a-c]".prop_map(String::into_bytes),
        2 => nasty,
        1 => vec(0x21_u8..=0xff, 0..20),
        1 => "(%[0-9a-fA-F]{2}){1,8}".prop_map(String::into_bytes),
    ]
}

fn target() -> impl Strategy<Value = Vec<u8>> {
    let route = select(corpus::ROUTES).prop_map(|route| route.as_bytes().to_vec());
    let query = prop_oneof![
        Just(Vec::new()),
        select(corpus::QUERIES).prop_map(|query| format!("?{query}").into_bytes()),
        vec(0x21_u8..=0x7e, 0..30).prop_map(|query| [b"?".as_slice(), &query].concat()),
    ];
    (route, vec(segment(), 0..4), query).prop_map(|(route, segments, query)| {
        let tail: Vec<u8> = segments
            .iter()
            .flat_map(|segment| [b"/".as_slice(), segment].concat())
            .collect();
        [route, tail, query].concat()
    })
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let text = prop_oneof![
        any::<String>(),
        "[a-z]{0,8}",
        Just("current".to_owned()),
        Just("input/x".to_owned())
    ];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-2_i64..5).prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        text.prop_map(Into::into),
    ];
    let fields = [
        "value",
        "data",
        "bytes",
        "cas",
        "id",
        "labels",
        "label",
        "version",
        "versions",
        "action",
        "reads",
        "writes",
        "path",
        "atomic",
        "rules",
        "capabilities",
        "policies",
        "access_token_ttl",
        "name",
        "role",
        "client_id",
        "client_secret",
        "description",
        "owner",
        "tags",
        "type",
    ];
    let key = prop_oneof![4 => select(fields.to_vec()).prop_map(str::to_owned), 1 => any::<String>()];
    leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Into::into),
            vec((key.clone(), inner), 0..5).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

fn request() -> impl Strategy<Value = Request> {
    let body = prop_oneof![
        4 => json().prop_map(|json| json.to_string().into_bytes()),
        2 => select(corpus::bodies().into_iter().filter(|body| body.len() < 1000).collect::<Vec<_>>()),
        1 => vec(any::<u8>(), 0..60),
    ];
    (select(corpus::METHODS), target(), body).prop_map(|(method, target, body)| Request { method, target, body })
}

async fn anything(on: On) {
    let store = Store::fresh(on);
    let target = Target::on(&store);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive number of cases"
    )]
    let cases = (CASES * scale()) as u32;
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(
        &request(),
        |Request {
             method,
             target: path,
             body,
         }| {
            let bytes = raw::request(method, &path, &[&target.authorization], &body);
            let answer = raw::send(target.server.port, &bytes);
            target.asked.set(target.asked.get() + 1);
            check(method, answer.as_ref())
                .map_err(|fault| TestCaseError::fail(format!("{fault}: {answer:?} to {}", bytes.escape_ascii())))
        },
    );
    if let Err(error) = outcome {
        panic!("{error}\n{}", target.server.log_text());
    }
    target.end(&format!("generated on {on:?}"));
}

on_both_stores!(anything);
