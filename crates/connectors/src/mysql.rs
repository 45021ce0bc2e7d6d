//! MariaDB 10.4.2 and newer. Statements about users are not transactions there: a user is made with a password that nobody has,
//! given its rights, and only then the one it is for. Whoever finds that first password goes on from there.

mod account;
mod issue;
mod session;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use strongroom_domain::Time;
use strongroom_ports::{Issuer, Login, NewUser, Order, Reaching, Rotator, Server, TargetError, Verifier};

use crate::guard::Guard;
use crate::targets::UNLIKE;
use account::{Account, identified};
use session::{DEFAULT_ROLE, SECOND, Session, State};

/// Of a user that may connect as it likes.
const UNBOUND: &str = "REQUIRE NONE WITH MAX_QUERIES_PER_HOUR 0 MAX_UPDATES_PER_HOUR 0 MAX_CONNECTIONS_PER_HOUR 0 \
    MAX_USER_CONNECTIONS 0 /*M! MAX_STATEMENT_TIME 0 */";

#[derive(Debug)]
pub(crate) struct Mysql {
    guard: Arc<Guard>,
}

impl Mysql {
    pub(crate) fn new(guard: Arc<Guard>) -> Self {
        Self { guard }
    }

    async fn set(
        &self,
        order: &Order<'_>,
        username: &str,
        like: Option<&str>,
        verifier: &Verifier,
    ) -> Result<(), TargetError> {
        let (user, password) = (Account::parse(username)?, identified(verifier)?);
        let mut session = self.administer(order).await?;
        let mark = match like {
            Some(like) if is_ours(&mut session, &user, &Account::parse(like)?).await? => SECOND,
            _ => "",
        };
        session.run(&format!("ALTER USER {user} {password} {mark}")).await
    }

    async fn administer(&self, order: &Order<'_>) -> Result<Session, TargetError> {
        let mut session = Session::open(&self.guard, order.server, order.admin).await?;
        session.bound(order.within).await?;
        Ok(session)
    }
}

/// The second of two who take turns is there after this, and may what the first may: also what that was given since, where the
/// second is of our making.
async fn is_ours(session: &mut Session, user: &Account<'_>, like: &Account<'_>) -> Result<bool, TargetError> {
    match session.state(user).await? {
        State::Missing | State::Begun | State::Second => {
            follow(session, user, like).await?;
            Ok(true)
        }
        State::Made if session.grants(user, user).await? == session.grants(like, user).await? => Ok(false),
        State::Made => Err(UNLIKE),
    }
}

/// What it lacks is given before anything is taken: whoever may not give it takes nothing.
async fn follow(session: &mut Session, user: &Account<'_>, like: &Account<'_>) -> Result<(), TargetError> {
    let wanted = session.grants(like, user).await?;
    session.begin_user(user).await?;
    if session.grants(user, user).await? == wanted {
        return Ok(());
    }
    session.run_all(&wanted).await?;
    let held = session.grants(user, user).await?;
    if held == wanted {
        return Ok(());
    }
    let begins_as = |grants: &BTreeSet<String>| grants.iter().any(|line| line.starts_with(DEFAULT_ROLE));
    if begins_as(&held) && !begins_as(&wanted) {
        session.run(&format!("{DEFAULT_ROLE}NONE FOR {user}")).await?;
    }
    session
        .run(&format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {user}"))
        .await?;
    session.run(&format!("ALTER USER {user} {UNBOUND}")).await?;
    session.run_all(&wanted).await
}

impl Rotator for Mysql {
    fn set<'a>(
        &'a self,
        order: Order<'a>,
        username: &'a str,
        like: Option<&'a str>,
        verifier: &'a Verifier,
    ) -> Reaching<'a, ()> {
        Box::pin(async move { self.set(&order, username, like, verifier).await })
    }

    fn test<'a>(&'a self, server: &'a Server, login: &'a Login, _: Duration) -> Reaching<'a, ()> {
        Box::pin(async move {
            match Session::open(&self.guard, server, login).await {
                // The password held, and the user is let in nevertheless not: to who logs in it is the same.
                Err(TargetError::NotPermitted) => Err(TargetError::LoginRefused),
                Err(error) => Err(error),
                Ok(_) => Ok(()),
            }
        })
    }
}

impl Issuer for Mysql {
    fn check_template<'a>(&'a self, order: Order<'a>, template: &'a str) -> Reaching<'a, ()> {
        Box::pin(async move { self.check_template(&order, template).await })
    }

    fn issue<'a>(&'a self, order: Order<'a>, user: NewUser<'a>) -> Reaching<'a, ()> {
        Box::pin(async move { self.issue(&order, &user).await })
    }

    /// There is nothing to be told: the server has no time after which it lets nobody in.
    fn extend<'a>(&'a self, order: Order<'a>, username: &'a str, _: Time) -> Reaching<'a, ()> {
        Box::pin(async move {
            let user = Account::parse(username)?;
            match self.administer(&order).await?.state(&user).await? {
                State::Missing => Err(TargetError::NoUser),
                State::Begun | State::Made | State::Second => Ok(()),
            }
        })
    }

    fn revoke<'a>(&'a self, order: Order<'a>, username: &'a str, _: &'a str) -> Reaching<'a, ()> {
        Box::pin(async move { self.revoke(&order, username).await })
    }

    fn users<'a>(
        &'a self,
        order: Order<'a>,
        prefix: &'a str,
        after: &'a str,
        limit: usize,
    ) -> Reaching<'a, Vec<String>> {
        Box::pin(async move { self.users(&order, prefix, after, limit).await })
    }
}
