//! Every engine behind one door.

use std::sync::Arc;
use std::time::Duration;

use strongroom_domain::Time;
use strongroom_domain::target::Engine;
use strongroom_ports::{Issuer, Login, NewUser, Order, Reaching, Rotator, Server, TargetError, Verifier};

use crate::Allowed;
use crate::guard::Guard;
use crate::mysql::Mysql;
use crate::postgres::Postgres;
use crate::redis::Redis;

/// Whoever bears the second one's name is not given a password, and then the application's place, for the name alone.
pub(crate) const UNLIKE: TargetError = TargetError::Refused(
    "the second of the two users that take turns was not made to be like the first: name both in 'users', or drop the second \
     while it is not current, and it is made",
);

/// The servers whose users are kept here.
#[derive(Debug)]
pub struct Targets {
    postgres: Postgres,
    mysql: Mysql,
    redis: Redis,
}

trait Connector: Rotator + Issuer {}

impl<T: Rotator + Issuer> Connector for T {}

impl Targets {
    /// `home`: this machine may be one, where `allowed` names it.
    pub fn new(allowed: Allowed, home: bool) -> Self {
        let guard = Arc::new(Guard::new(allowed, home));
        Self {
            postgres: Postgres::new(guard.clone()),
            mysql: Mysql::new(guard.clone()),
            redis: Redis::new(guard),
        }
    }

    fn speaking(&self, engine: Engine) -> Option<&dyn Connector> {
        match engine {
            Engine::Postgres => Some(&self.postgres),
            Engine::Mysql => Some(&self.mysql),
            Engine::Redis => Some(&self.redis),
            Engine::Webhook => None,
        }
    }
}

/// Whatever the other side does, it is over in time.
fn timely<'a, T: 'a>(within: Duration, asked: Option<Reaching<'a, T>>) -> Reaching<'a, T> {
    Box::pin(async move {
        let asked = asked.ok_or(TargetError::Unsupported)?;
        let answer = tokio::time::timeout(within, asked).await;
        answer.unwrap_or(Err(TargetError::TimedOut))
    })
}

impl Rotator for Targets {
    fn set<'a>(
        &'a self,
        order: Order<'a>,
        username: &'a str,
        like: Option<&'a str>,
        verifier: &'a Verifier,
    ) -> Reaching<'a, ()> {
        let (within, connector) = (order.within, self.speaking(order.server.engine));
        timely(within, connector.map(|c| c.set(order, username, like, verifier)))
    }

    fn test<'a>(&'a self, server: &'a Server, login: &'a Login, within: Duration) -> Reaching<'a, ()> {
        let connector = self.speaking(server.engine);
        timely(within, connector.map(|c| c.test(server, login, within)))
    }
}

impl Issuer for Targets {
    fn check_template<'a>(&'a self, order: Order<'a>, template: &'a str) -> Reaching<'a, ()> {
        let (within, connector) = (order.within, self.speaking(order.server.engine));
        timely(within, connector.map(|c| c.check_template(order, template)))
    }

    fn issue<'a>(&'a self, order: Order<'a>, user: NewUser<'a>) -> Reaching<'a, ()> {
        let (within, connector) = (order.within, self.speaking(order.server.engine));
        timely(within, connector.map(|c| c.issue(order, user)))
    }

    fn extend<'a>(&'a self, order: Order<'a>, username: &'a str, until: Time) -> Reaching<'a, ()> {
        let (within, connector) = (order.within, self.speaking(order.server.engine));
        timely(within, connector.map(|c| c.extend(order, username, until)))
    }

    fn revoke<'a>(&'a self, order: Order<'a>, username: &'a str, template: &'a str) -> Reaching<'a, ()> {
        let (within, connector) = (order.within, self.speaking(order.server.engine));
        timely(within, connector.map(|c| c.revoke(order, username, template)))
    }

    fn users<'a>(
        &'a self,
        order: Order<'a>,
        prefix: &'a str,
        after: &'a str,
        limit: usize,
    ) -> Reaching<'a, Vec<String>> {
        let (within, connector) = (order.within, self.speaking(order.server.engine));
        timely(within, connector.map(|c| c.users(order, prefix, after, limit)))
    }
}
