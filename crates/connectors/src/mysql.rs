//! MariaDB 10.4.2 and newer. Statements about users are not transactions there: a user is made with a password that nobody has,
//! given its rights, and only then the one it is for. Whoever finds that first password goes on from there.

mod account;
mod issue;
mod session;

use std::sync::Arc;
use std::time::Duration;

use strongroom_domain::Time;
use strongroom_ports::{Issuer, Login, NewUser, Order, Reaching, Rotator, Server, TargetError, Verifier};

use crate::guard::Guard;
use account::{Account, identified};
use session::{Session, State};

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
        if let Some(like) = like
            && session.state(&user).await? != State::Made
        {
            make(&mut session, &user, &Account::parse(like)?).await?;
        }
        session.run(&format!("ALTER USER {user} {password}")).await
    }

    async fn administer(&self, order: &Order<'_>) -> Result<Session, TargetError> {
        let mut session = Session::open(&self.guard, order.server, order.admin).await?;
        session.bound(order.within).await?;
        Ok(session)
    }
}

/// One that may what `like` may.
async fn make(session: &mut Session, user: &Account<'_>, like: &Account<'_>) -> Result<(), TargetError> {
    let grants = session.lines(&format!("SHOW GRANTS FOR {like}")).await?;
    session.begin_user(user).await?;
    for grant in &grants {
        let handed = like.handed_to(user, grant);
        let statement = handed.ok_or(TargetError::Refused("a grant of the first user's is not understood"))?;
        if !statement.is_empty() {
            session.run(&statement).await?;
        }
    }
    Ok(())
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
                State::Begun | State::Made => Ok(()),
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
