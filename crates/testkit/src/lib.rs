//! What tests stand on: a throw-away PostgreSQL, MariaDB or Redis that can be killed, and a proxy that cuts and hangs
//! connections.
//!
//! Everything here panics when it cannot do its work: a test without its ground should stop there and say why.
#![expect(clippy::panic, clippy::expect_used, reason = "a helper that fails is a failed test")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests are configured by their environment, and helpers wait for processes"
)]

mod binaries;
mod daemon;
mod mariadb;
mod postgres;
mod proxy;
mod redis;

pub use mariadb::MariaDb;
pub use postgres::{Cluster, Database, run_sql};
pub use proxy::{Direction, Event, Proxy};
pub use redis::Redis;

use std::net::{Ipv4Addr, TcpListener};

/// How much work the long tests do: `STRONGROOM_TEST_SCALE`, 1 where it is unset. At 1 they fit into CI; campaigns set
/// more, and tests multiply their rounds by it.
pub fn scale() -> f64 {
    let Ok(text) = std::env::var("STRONGROOM_TEST_SCALE") else {
        return 1.0;
    };
    match text.parse::<f64>() {
        Ok(scale) if scale.is_finite() && scale > 0.0 => scale,
        _ => panic!("STRONGROOM_TEST_SCALE must be a number above 0, and is {text:?}"),
    }
}

/// A port of 127.0.0.1 on which nothing listens at this moment. Somebody else may take it before it is used.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("the port of a listener").port()
}
