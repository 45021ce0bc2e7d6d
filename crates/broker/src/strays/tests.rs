use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use serde_json::json;
use strongroom_domain::{PrincipalId, Row, SecretPath, Time};
use strongroom_ports::{Clock as _, Issuer, NewUser, Order, Reaching, Store as _, TargetError};

use super::*;
use crate::PutSecret;
use crate::place::Place;

/// Servers by the names of their hosts.
#[derive(Default)]
struct Servers {
    users: Mutex<BTreeMap<String, BTreeSet<String>>>,
    away: Mutex<BTreeSet<String>>,
}

/// One that never answers.
const TARPIT: &str = "tarpit";

fn done<'a, T: Send + 'a>(answer: Result<T, TargetError>) -> Reaching<'a, T> {
    Box::pin(std::future::ready(answer))
}

impl Issuer for Servers {
    fn check_template<'a>(&'a self, _: Order<'a>, _: &'a str) -> Reaching<'a, ()> {
        done(Ok(()))
    }

    fn issue<'a>(&'a self, _: Order<'a>, _: NewUser<'a>) -> Reaching<'a, ()> {
        done(Err(TargetError::Unreachable))
    }

    fn extend<'a>(&'a self, _: Order<'a>, _: &'a str, _: Time) -> Reaching<'a, ()> {
        done(Err(TargetError::Unreachable))
    }

    fn revoke<'a>(&'a self, _: Order<'a>, _: &'a str, _: &'a str) -> Reaching<'a, ()> {
        done(Err(TargetError::Unreachable))
    }

    fn users<'a>(
        &'a self,
        order: Order<'a>,
        prefix: &'a str,
        after: &'a str,
        limit: usize,
    ) -> Reaching<'a, Vec<String>> {
        let host = &order.server.host;
        if host == TARPIT {
            return Box::pin(std::future::pending());
        }
        if self.away.lock().unwrap().contains(host) {
            return done(Err(TargetError::Unreachable));
        }
        let users = self.users.lock().unwrap();
        let users = users.get(host).into_iter().flatten();
        let users = users.filter(|user| user.starts_with(prefix) && user.as_str() > after);
        done(Ok(users.take(limit).cloned().collect()))
    }
}

impl Servers {
    fn put(&self, host: &str, users: impl IntoIterator<Item = String>) {
        let mut all = self.users.lock().unwrap();
        all.entry(host.to_owned()).or_default().extend(users);
    }
}

struct Stage {
    servers: Arc<Servers>,
    place: Place,
}

impl Stage {
    async fn new(hosts: &[&str]) -> Self {
        let servers = Arc::new(Servers::default());
        let place = Place::with(servers.clone()).await;
        let credential = SecretPath::parse("infra/admin").unwrap();
        let payload = json!({ "username": "admin", "password": "x" });
        let put = PutSecret {
            path: credential,
            payload: strongroom_domain::Payload::json(payload.to_string()).unwrap(),
            cas: None,
            id: None,
            labels: None,
            unless_same: false,
        };
        place.broker.put(&place.request(), put).await.unwrap();
        for host in hosts {
            let config = json!({ "engine": "postgres", "address": host, "tls": "off", "credential": "infra/admin" });
            let (name, config) = (Name::parse(host).unwrap(), serde_json::from_value(config).unwrap());
            place.broker.put_target(&place.request(), &name, config).await.unwrap();
        }
        Self { servers, place }
    }

    fn role(&self, name: &str, host: &str) -> LeaseRole {
        let (broker, now) = (&self.place.broker, self.place.clock.now());
        let role = LeaseRole {
            id: broker.new_id(),
            config: serde_json::from_value(json!({ "target": host, "template": "reporting" })).unwrap(),
            created_at: now,
            updated_at: now,
        };
        let record = broker.new_record(Kind::LeaseRole, broker.new_id(), name, None, &role);
        self.place.store.alter(Row::Record(record.unwrap()));
        role
    }

    async fn found(&self) -> i64 {
        self.place.broker.find_strays().await.unwrap();
        self.place.broker.strays_seen()
    }
}

fn user(role: &LeaseRole, number: usize) -> String {
    format!("{}{number:020}", role.user_prefix())
}

#[tokio::test]
async fn who_has_no_lease_is_counted_until_gone() {
    let stage = Stage::new(&["one"]).await;
    let (broker, now) = (&stage.place.broker, stage.place.clock.now());
    let (role, name) = (stage.role("report", "one"), Name::parse("report").unwrap());
    let id = LeaseId::of_user(&user(&role, 1), &role).unwrap();
    let lease = Lease::plan(&id, (&name, &role), "one:5432".into(), PrincipalId([1; 16]), None, now).unwrap();
    let record = broker.new_record(Kind::Lease, broker.new_id(), id.row_name(), None, &lease);
    stage.place.store.alter(Row::Record(record.unwrap()));
    stage.servers.put(
        "one",
        [lease.username.clone(), "app".into(), "sr_00000000_another".into()],
    );
    assert_eq!(stage.found().await, 0);
    stage
        .servers
        .put("one", [user(&role, 2), format!("{}no-id", role.user_prefix())]);
    assert_eq!(stage.found().await, 2);
    stage.servers.users.lock().unwrap().clear();
    assert_eq!(stage.found().await, 0);
}

#[tokio::test]
async fn a_target_that_is_away_leaves_the_count_as_it_was() {
    let stage = Stage::new(&["one", "two"]).await;
    let (one, two) = (stage.role("of-one", "one"), stage.role("of-two", "two"));
    stage.servers.put("one", [user(&one, 1)]);
    stage.servers.put("two", [user(&two, 1), user(&two, 2)]);
    assert_eq!(stage.found().await, 3);
    stage.servers.away.lock().unwrap().insert("two".into());
    stage.servers.put("one", [user(&one, 2)]);
    assert_eq!(stage.found().await, 4);
    stage.servers.away.lock().unwrap().clear();
    stage.servers.users.lock().unwrap().remove("two");
    assert_eq!(stage.found().await, 2);
    // Those of a role that is gone are looked for no more.
    let namespace = stage.place.broker.namespace();
    let all = stage
        .place
        .store
        .list(stage.place.clock.now(), namespace, Kind::LeaseRole, "", "", 10);
    for record in all.await.unwrap().value {
        stage.place.store.take_away(&Row::Record(record).key());
    }
    assert_eq!(stage.found().await, 0);
}

#[tokio::test]
async fn however_many_roles_and_users_there_are() {
    let stage = Stage::new(&["one"]).await;
    let roles: Vec<_> = (0..1100)
        .map(|number| stage.role(&format!("role-{number}"), "one"))
        .collect();
    stage.servers.put("one", roles.iter().map(|role| user(role, 1)));
    assert_eq!(stage.found().await, 1100);
    // More than are looked for.
    stage
        .servers
        .put("one", (0..MOST_STRAYS + 1500).map(|number| user(&roles[7], number)));
    let most = i64::try_from(MOST_STRAYS).unwrap();
    assert_eq!(stage.found().await, 1099 + most);
}

#[tokio::test]
async fn what_holds_up_one_target_holds_up_nobody_else_for_long() {
    let stage = Stage::new(&["one", TARPIT]).await;
    let namespace = strongroom_domain::NamespaceName::parse("team").unwrap();
    let request = stage.place.request();
    stage.place.broker.create_namespace(&request, &namespace).await.unwrap();
    for number in 0..300 {
        stage.role(&format!("slow-{number}"), TARPIT);
    }
    let role = stage.role("report", "one");
    stage.servers.put("one", [user(&role, 1)]);
    // Nobody can read it: it is another's by its place.
    let broken = stage
        .place
        .broker
        .new_record(Kind::LeaseRole, stage.place.broker.new_id(), "a-first", None, &role);
    let broken = strongroom_domain::Record {
        due: Some(Time(1)),
        ..broken.unwrap()
    };
    stage.place.store.alter(Row::Record(broken));
    let patience = |target, namespace| Patience {
        target: Duration::from_millis(target),
        namespace: Duration::from_millis(namespace),
    };
    let broker = &stage.place.broker;
    let began = Instant::now();
    broker.find_strays_within(&patience(300, 60_000)).await.unwrap();
    let took = began.elapsed();
    assert!(
        (300..3000).contains(&took.as_millis()),
        "{took:?}: asked, and for how many roles it does not matter"
    );
    assert_eq!(broker.strays_seen(), 1);
    // Where there are too many of that kind, it is another's turn in some other pass.
    stage.servers.put("one", [user(&role, 2)]);
    let began = Instant::now();
    while broker.strays_seen() < 2 {
        broker.find_strays_within(&patience(60_000, 50)).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn the_log_names_a_few() {
    let mut found = Found::default();
    (0..NAMED + 5).for_each(|number| found.add(number.to_string()));
    assert_eq!((found.count, found.named.len()), (NAMED + 5, NAMED));
}
