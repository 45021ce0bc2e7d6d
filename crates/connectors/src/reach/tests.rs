use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use strongroom_domain::target::Engine;
use tokio::net::TcpListener;

use super::*;
use crate::Allowed;
use crate::guard::{Resolve, Resolving};

/// This machine when asked first, a private network after that.
#[derive(Default)]
struct Rebinding(AtomicUsize);

impl Resolve for Arc<Rebinding> {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        let first = self.0.fetch_add(1, Ordering::Relaxed) == 0;
        let address = if first { "127.0.0.1" } else { "10.0.0.1" };
        Box::pin(std::future::ready(Some(vec![address.parse().unwrap()])))
    }
}

fn server(host: &str, port: u16) -> Server {
    Server {
        engine: Engine::Postgres,
        host: host.into(),
        port,
        database: None,
        tls: Tls::Off,
        ca_pem: None,
    }
}

#[tokio::test]
async fn a_name_is_resolved_once_and_what_is_not_allowed_is_not_called() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asked = Arc::new(Rebinding::default());
    let guard = Guard {
        allowed: Allowed::parse("db.example").unwrap(),
        home: true,
        resolver: Box::new(asked.clone()),
    };
    let server = server("DB.example", listener.local_addr().unwrap().port());
    let (opened, accepted) = tokio::join!(open(&guard, &server), listener.accept());
    assert_eq!(opened.unwrap().local_addr().unwrap(), accepted.unwrap().1);
    assert_eq!(asked.0.load(Ordering::Relaxed), 1);

    let guard = Guard::new(Allowed::default(), true);
    let refused = open(&guard, &self::server("127.0.0.1", server.port)).await;
    assert_eq!(
        refused.unwrap_err(),
        TargetError::Forbidden("127.0.0.1".parse().unwrap())
    );
}

#[test]
fn certificates_that_are_none_are_told() {
    for pem in [
        "",
        "not PEM",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert_eq!(config(Some(pem)).unwrap_err(), TargetError::Certificates, "{pem}");
    }
}
