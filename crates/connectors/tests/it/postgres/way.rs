use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::time::Instant;

use strongroom_testkit::{Proxy, free_port};

use super::*;
use crate::authority::Authority;

/// From now on the server speaks TLS, as this name; who says so.
fn certified(place: &Place, name: &str) -> String {
    let authority = Authority::new();
    let (certificate, key) = authority.certify(name);
    let folder = place.cluster.data_dir();
    let owner = std::fs::metadata(&folder).unwrap();
    for (file, text) in [("server.crt", certificate), ("server.key", key)] {
        let file = folder.join(file);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    place.sql("ALTER SYSTEM SET ssl = on");
    place.sql("SELECT pg_reload_conf()");
    authority.pem()
}

#[tokio::test]
async fn tls_verifies_the_name_that_the_operator_wrote() {
    let mut place = Place::new();
    place.set(1, "app", None, "of the app").await.unwrap();
    place.server.tls = Tls::Verify;
    let told = place.test("app", "of the app").await;
    assert!(matches!(told, Err(TargetError::Refused(_))), "{told:?}");

    place.server.ca_pem = Some(certified(&place, "localhost"));
    place.server.host = "localhost".into();
    let began = Instant::now();
    // The reloaded setting reaches the server a moment later.
    while place.test("app", "of the app").await.is_err() {
        assert!(began.elapsed() < WITHIN);
    }
    place.set(2, "app", None, "over TLS").await.unwrap();
    place.test("app", "over TLS").await.unwrap();

    let mut other = place.server.clone();
    other.host = "127.0.0.1".into();
    let user = login("app", "over TLS");
    assert_eq!(
        place.targets.test(&other, &user, WITHIN).await,
        Err(TargetError::Unreachable)
    );
    other = place.server.clone();
    other.ca_pem = None;
    assert_eq!(
        place.targets.test(&other, &user, WITHIN).await,
        Err(TargetError::Unreachable)
    );
    other.ca_pem = Some("none".into());
    assert_eq!(
        place.targets.test(&other, &user, WITHIN).await,
        Err(TargetError::Certificates)
    );
}

#[tokio::test]
async fn what_is_not_allowed_is_not_called() {
    let place = Place::new();
    let targets = Targets::new(Allowed::default(), true);
    let told = targets.test(&place.server, &login("app", "never asked"), WITHIN).await;
    assert_eq!(told, Err(TargetError::Forbidden("127.0.0.1".parse().unwrap())));
}

#[tokio::test]
async fn a_target_that_is_dead_or_slow_is_left_in_time() {
    let mut place = Place::new();
    place.set(1, "app", None, "of the app").await.unwrap();
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
                ..place.order(2)
            };
            assert_eq!(place.targets.revoke(order, "app", "app").await, Err(expected.clone()));
            assert!(began.elapsed() < within * 3, "{:?}", began.elapsed());
        }
    }
}

#[tokio::test]
async fn the_server_ends_what_takes_too_long_itself() {
    let place = Place::new();
    let holder = place.connect("postgres", "", "postgres").await;
    holder
        .batch_execute("BEGIN; ALTER ROLE app CONNECTION LIMIT 5; COMMENT ON ROLE app IS 'held'")
        .await
        .unwrap();
    let (verifier, within) = (place.verifier("never"), Duration::from_millis(500));
    let order = Order {
        within,
        ..place.order(1)
    };
    let told = place.targets.set(order, "app", None, &verifier).await;
    assert_eq!(told, Err(TargetError::TimedOut));
    tokio::time::sleep(within).await;
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(place.test("app", "never").await, Err(TargetError::LoginRefused));
    let at_work = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'strongroom_admin'";
    assert_eq!(place.sql(at_work), "0");
}

#[tokio::test]
async fn each_no_has_its_name() {
    let mut place = Place::new();
    place.set(1, "app", None, "of the app").await.unwrap();
    place.sql("ALTER ROLE app CONNECTION LIMIT 0");
    assert_eq!(place.test("app", "of the app").await, Err(TargetError::Busy));
    place.sql("ALTER ROLE app CONNECTION LIMIT -1; REVOKE CONNECT ON DATABASE postgres FROM PUBLIC");
    assert_eq!(place.test("app", "of the app").await, Err(TargetError::LoginRefused));
    place.server.database = Some("nowhere".into());
    let told = place.test("app", "of the app").await;
    assert!(matches!(told, Err(TargetError::Refused(_))), "{told:?}");
    place.admin = login(ADMIN, "wrong");
    assert_eq!(
        place.set(2, "app", None, "of the app").await,
        Err(TargetError::LoginRefused)
    );
    place.server.engine = Engine::Webhook;
    assert_eq!(place.test("app", "of the app").await, Err(TargetError::Unsupported));
}
