//! On a Redis of each test's own, administered with no right beyond those that docs/TARGETS.md names. Nothing runs where Redis is
//! not installed, which is told.

mod templates;
mod turns;

use std::time::{Duration, Instant};

use strongroom_connectors::{Allowed, Targets};
use strongroom_domain::Time;
use strongroom_domain::target::{Engine, Tls};
use strongroom_ports::{Issuer, Login, NewUser, Order, Rotator, Server, TargetError, Verifier};
use strongroom_testkit::{Proxy, Redis, free_port};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::authority::Authority;

const WITHIN: Duration = Duration::from_secs(20);
const DOCS: &str = include_str!("../../../../docs/TARGETS.md");

struct Place {
    redis: Redis,
    targets: Targets,
    server: Server,
    admin: Login,
}

impl Place {
    fn new(settings: &[&str]) -> Option<Self> {
        let redis = Redis::start(settings)?;
        let place = Self {
            targets: Targets::new(Allowed::parse("127.0.0.1, localhost").unwrap(), true),
            server: Server {
                engine: Engine::Redis,
                host: "127.0.0.1".into(),
                port: redis.port(),
                database: None,
                tls: Tls::Off,
                ca_pem: None,
            },
            redis,
            admin: login("strongroom_admin", "the administrator's own"),
        };
        place.run("ACL SETUSER app on resetchannels -@all +get +set +ping ~cache:* %R~other:* &news (+hget ~h:*)");
        place.run("ACL SETUSER reporting off -@all +get +ping ~cache:*");
        let (_, page) = DOCS.split_once("## Redis\n").unwrap();
        let (_, granted) = page.split_once("redis-cli ").unwrap();
        place.run(granted.lines().next().unwrap());
        place
            .redis
            .run(&["ACL", "SETUSER", "strongroom_admin", ">the administrator's own"]);
        Some(place)
    }

    /// As the user `default`; words are parted by spaces.
    fn run(&self, command: &str) -> String {
        self.redis.run(&command.split(' ').collect::<Vec<_>>())
    }

    fn order(&self) -> Order<'_> {
        Order {
            server: &self.server,
            admin: &self.admin,
            within: WITHIN,
            fence: 1,
        }
    }

    async fn set(&self, username: &str, like: Option<&str>, password: &str) -> Result<(), TargetError> {
        self.targets
            .set(self.order(), username, like, &verifier(password))
            .await
    }

    async fn issue(&self, username: &str, template: &str, password: &str) -> Result<(), TargetError> {
        let verifier = verifier(password);
        let user = NewUser {
            username,
            verifier: &verifier,
            template,
            until: Time(0),
        };
        self.targets.issue(self.order(), user).await
    }

    async fn test(&self, username: &str, password: &str) -> Result<(), TargetError> {
        let login = login(username, password);
        self.targets.test(&self.server, &login, WITHIN).await
    }

    /// A session of an application's.
    async fn connect(&self, username: &str, password: &str) -> Talk {
        let mut talk = Talk(TcpStream::connect(("127.0.0.1", self.server.port)).await.unwrap());
        assert_eq!(talk.say(&["AUTH", username, password]).await, "+OK\r\n");
        talk
    }
}

struct Talk(TcpStream);

impl Talk {
    /// Empty: the server closed the connection.
    async fn say(&mut self, words: &[&str]) -> String {
        let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
        let words: Vec<_> = words.collect();
        let text = format!("*{}\r\n{}", words.len(), words.concat());
        let mut answer = vec![0; 1024];
        if self.0.write_all(text.as_bytes()).await.is_err() {
            return String::new();
        }
        let read = self.0.read(&mut answer).await.unwrap_or(0);
        String::from_utf8_lossy(&answer[..read]).into_owned()
    }
}

fn verifier(password: &str) -> Verifier {
    let verifier = strongroom_crypto::verifier(Engine::Redis, password, &|| [0; 32]).unwrap();
    Verifier(verifier.as_str().into())
}

fn login(username: &str, password: &str) -> Login {
    Login {
        username: username.into(),
        password: password.into(),
    }
}

#[tokio::test]
async fn a_password_stands_beside_the_one_before_and_both_outlive_the_server() {
    for kept in [&["--aclfile", "users.acl"][..], &[]] {
        let Some(mut place) = Place::new(kept) else { return };
        assert_eq!(place.test("app", "first").await, Err(TargetError::LoginRefused));
        for password in ["first", "second", "second", "third", "third"] {
            place.set("app", None, password).await.unwrap();
            place.test("app", password).await.unwrap();
        }
        for _ in 0..2 {
            place.test("app", "second").await.unwrap();
            assert_eq!(place.test("app", "first").await, Err(TargetError::LoginRefused));
            place.redis.kill9();
            place.redis.restart();
            place.server.port = place.redis.port();
        }
        place.set("app", None, "second").await.unwrap();
        place.set("app", None, "fourth").await.unwrap();
        place.test("app", "second").await.unwrap();
        assert_eq!(place.test("app", "third").await, Err(TargetError::LoginRefused));
        let file = place
            .redis
            .folder()
            .join(if kept.is_empty() { "redis.conf" } else { "users.acl" });
        let file = std::fs::read_to_string(file).unwrap();
        assert!(
            file.contains("user app on") && !file.contains("second") && !file.contains("fourth"),
            "{file}"
        );
    }
}

#[tokio::test]
async fn a_second_user_may_what_the_first_may() {
    let Some(place) = Place::new(&["--aclfile", "users.acl"]) else {
        return;
    };
    place.set("app", None, "of the first").await.unwrap();
    for password in ["of the second", "of the second, anew"] {
        place.set("app_b", Some("app"), password).await.unwrap();
    }
    let rights = |name: &str| {
        let list = place.run("ACL LIST");
        let line = list
            .lines()
            .find(|line| line.starts_with(&format!("user {name} on")))
            .unwrap()
            .to_owned();
        line.split(' ')
            .skip(3)
            .filter(|&word| !word.starts_with('#') && word != "sanitize-payload")
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(rights("app_b"), rights("app"));
    assert!(
        rights("app").contains("(~h:* resetchannels -@all +hget)"),
        "{}",
        rights("app")
    );
    let mut second = place.connect("app_b", "of the second, anew").await;
    assert_eq!(second.say(&["SET", "cache:1", "x"]).await, "+OK\r\n");
    assert!(second.say(&["SET", "other:1", "x"]).await.starts_with("-NOPERM"));
    assert_eq!(
        place.test("app_b", "of the first").await,
        Err(TargetError::LoginRefused)
    );
    assert_eq!(
        place.set("nobody", None, "never let in").await,
        Err(TargetError::NoUser)
    );
    assert_eq!(
        place.set("other", Some("nobody"), "never let in").await,
        Err(TargetError::NoUser)
    );
    assert!(!place.run("ACL USERS").contains("other"));
}

#[tokio::test]
async fn a_lease_has_the_templates_rules_until_it_is_revoked() {
    let Some(place) = Place::new(&["--aclfile", "users.acl"]) else {
        return;
    };
    place.targets.check_template(place.order(), "reporting").await.unwrap();
    assert_eq!(place.run("ACL USERS"), "app\ndefault\nreporting\nstrongroom_admin");
    for _ in 0..2 {
        place.issue("v-1", "reporting", "of the lease").await.unwrap();
    }
    let mut session = place.connect("v-1", "of the lease").await;
    assert_eq!(session.say(&["GET", "cache:1"]).await, "$-1\r\n");
    assert!(session.say(&["SET", "cache:1", "x"]).await.starts_with("-NOPERM"));
    place.targets.extend(place.order(), "v-1", Time(1)).await.unwrap();
    let extended = place.targets.extend(place.order(), "v-2", Time(1)).await;
    assert_eq!(extended, Err(TargetError::NoUser));

    for name in ["v-B", "v-a", "v-é", "w-1"] {
        place.issue(name, "reporting", "of the lease").await.unwrap();
    }
    let page = |after: &'static str, limit| place.targets.users(place.order(), "v-", after, limit);
    assert_eq!(page("", 9).await.unwrap(), ["v-1", "v-B", "v-a", "v-é"]);
    assert_eq!(page("v-1", 2).await.unwrap(), ["v-B", "v-a"]);

    for _ in 0..2 {
        place.targets.revoke(place.order(), "v-1", "reporting").await.unwrap();
    }
    assert_eq!(session.say(&["PING"]).await, "");
    assert_eq!(place.test("v-1", "of the lease").await, Err(TargetError::LoginRefused));
    place.test("v-a", "of the lease").await.unwrap();
    let file = std::fs::read_to_string(place.redis.folder().join("users.acl")).unwrap();
    assert!(file.contains("user v-a ") && !file.contains("user v-1 "));

    let taken = place.issue("app", "reporting", "never let in").await;
    assert!(matches!(taken, Err(TargetError::Refused(_))), "{taken:?}");
    assert_eq!(
        place.issue("v-3", "missing", "never let in").await,
        Err(TargetError::NoTemplate)
    );
    place.run("ACL SETUSER maker off +acl|setuser");
    place.run("ACL SETUSER setter off +config");
    place.run("ACL SETUSER copies off +psync");
    place.run("ACL SETUSER follows off +replicaof");
    place.run("ACL SETUSER loads off +module");
    place.run("ACL SETUSER sees off +monitor");
    for template in [
        "maker",
        "setter",
        "copies",
        "follows",
        "loads",
        "sees",
        "default",
        "strongroom_admin",
    ] {
        let refused = place.targets.check_template(place.order(), template).await;
        assert!(
            matches!(refused, Err(TargetError::Refused(_))),
            "{template}: {refused:?}"
        );
    }
    let refused = place.targets.check_template(place.order(), "missing").await;
    assert_eq!(refused, Err(TargetError::NoTemplate));
    // What it was given later, nobody gets by it.
    place.run("ACL SETUSER reporting +config");
    let refused = place.issue("v-4", "reporting", "never let in").await;
    assert!(matches!(refused, Err(TargetError::Refused(_))), "{refused:?}");
}

#[tokio::test]
async fn hostile_names_are_made_and_dropped_cleanly_or_refused_with_the_limit() {
    let Some(place) = Place::new(&["--aclfile", "users.acl"]) else {
        return;
    };
    let longest = "☃".repeat(21);
    for name in [
        "a'b",
        "\"",
        "back\\slash",
        "#1",
        "on",
        "nopass",
        ">x",
        "~*",
        "(+@all",
        "é☃𐀀",
        "user",
        longest.as_str(),
    ] {
        let template = format!("{name}t");
        place.redis.run(&["ACL", "SETUSER", &template, "off", "+ping"]);
        place.targets.check_template(place.order(), &template).await.unwrap();
        place.issue(name, &template, "of the lease").await.unwrap();
        let mut session = place.connect(name, "of the lease").await;
        assert_eq!(session.say(&["PING"]).await, "+PONG\r\n");
        assert!(session.say(&["GET", "cache:1"]).await.starts_with("-NOPERM"));
        assert_eq!(place.targets.users(place.order(), name, "", 1).await.unwrap(), [name]);
        place.set(name, None, "rotated").await.unwrap();
        place.test(name, "rotated").await.unwrap();
        for name in [name, &template] {
            place.targets.revoke(place.order(), name, "reporting").await.unwrap();
        }
        assert_eq!(session.say(&["PING"]).await, "");
    }
    assert_eq!(place.run("ACL USERS"), "app\ndefault\nreporting\nstrongroom_admin");
    for name in ["", " ", "a b", "a\0b", "a\nb"] {
        let refused = place.issue(name, "reporting", "never let in").await;
        assert!(matches!(refused, Err(TargetError::Name(_))), "{name:?}: {refused:?}");
        let refused = place.set(name, Some("app"), "never let in").await;
        assert!(matches!(refused, Err(TargetError::Name(_))), "{name:?}: {refused:?}");
    }
}

#[tokio::test]
async fn tls_verifies_the_name_that_the_operator_wrote() {
    let Some(mut place) = Place::new(&["--aclfile", "users.acl"]) else {
        return;
    };
    place.set("app", None, "of the app").await.unwrap();
    let authority = Authority::new();
    place.server.tls = Tls::Verify;
    place.server.host = "localhost".into();
    place.server.ca_pem = Some(authority.pem());
    // One that speaks no TLS takes the greeting for the start of a command.
    let (user, within) = (login("app", "of the app"), Duration::from_millis(700));
    let told = place.targets.test(&place.server, &user, within).await;
    assert_eq!(told, Err(TargetError::TimedOut));

    let (certificate, key) = authority.certify("localhost");
    std::fs::write(place.redis.folder().join("server.crt"), certificate).unwrap();
    std::fs::write(place.redis.folder().join("server.key"), key).unwrap();
    place.redis.kill9();
    let port = free_port();
    let files = [
        "--tls-cert-file",
        "server.crt",
        "--tls-key-file",
        "server.key",
        "--tls-auth-clients",
        "no",
    ];
    place
        .redis
        .restart_with(&[&files[..], &["--tls-port", &port.to_string()]].concat());
    place.server.port = port;
    place.test("app", "of the app").await.unwrap();
    place.set("app", None, "over TLS").await.unwrap();
    place.test("app", "over TLS").await.unwrap();

    let user = login("app", "over TLS");
    let mut other = place.server.clone();
    other.host = "127.0.0.1".into();
    assert_eq!(
        place.targets.test(&other, &user, WITHIN).await,
        Err(TargetError::Unreachable)
    );
    other = place.server.clone();
    other.ca_pem = Some(Authority::new().pem());
    assert_eq!(
        place.targets.test(&other, &user, WITHIN).await,
        Err(TargetError::Unreachable)
    );
}

#[tokio::test]
async fn each_no_has_its_name_and_what_is_dead_or_slow_is_left_in_time() {
    let Some(mut place) = Place::new(&[]) else { return };
    place.set("app", None, "of the app").await.unwrap();
    let held = place.connect("app", "of the app").await;
    place.run("CONFIG SET maxclients 1");
    // The server says why, and hangs up, which what we sent meanwhile may overtake.
    let told = place.test("app", "of the app").await;
    assert!(
        matches!(told, Err(TargetError::Busy | TargetError::Unreachable)),
        "{told:?}"
    );
    drop(held);
    // The new one has room.
    place.redis.kill9();
    place.redis.restart();
    place.server.port = place.redis.port();
    place.admin = login("app", "of the app");
    assert_eq!(
        place.set("app", None, "never let in").await,
        Err(TargetError::NotPermitted)
    );
    place.admin = login("app", "wrong");
    assert_eq!(
        place.set("app", None, "never let in").await,
        Err(TargetError::LoginRefused)
    );

    let (port, within) = (place.server.port, Duration::from_millis(700));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::start(([127, 0, 0, 1], port).into());
    proxy.hang_replies();
    for (port, expected) in [
        (free_port(), TargetError::Unreachable),
        (silent.local_addr().unwrap().port(), TargetError::TimedOut),
        (proxy.addr().port(), TargetError::TimedOut),
    ] {
        place.server.port = port;
        for tls in [Tls::Off, Tls::Verify] {
            place.server.tls = tls;
            let (began, user) = (Instant::now(), login("app", "of the app"));
            assert_eq!(
                place.targets.test(&place.server, &user, within).await,
                Err(expected.clone())
            );
            let order = Order {
                within,
                ..place.order()
            };
            assert_eq!(
                place.targets.revoke(order, "app", "reporting").await,
                Err(expected.clone())
            );
            assert!(began.elapsed() < within * 3, "{:?}", began.elapsed());
        }
    }
    let targets = Targets::new(Allowed::default(), true);
    let told = targets.test(&place.server, &place.admin, WITHIN).await;
    assert_eq!(told, Err(TargetError::Forbidden("127.0.0.1".parse().unwrap())));
}
