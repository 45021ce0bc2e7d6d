//! PostgreSQL 13 and newer. Rights come by membership in another role, and a session acts as that role from its start, so that
//! what it makes belongs to all who act so. Nothing is granted on an object of its own.

mod issue;
mod quote;
mod revoke;
mod role;
mod session;

use std::sync::Arc;
use std::time::Duration;

use strongroom_domain::Time;
use strongroom_ports::{Issuer, Login, NewUser, Order, Reaching, Rotator, Server, TargetError, Verifier};

use crate::guard::Guard;
use quote::{identifier, password};
use session::Session;

#[derive(Debug)]
pub(crate) struct Postgres {
    guard: Arc<Guard>,
}

impl Postgres {
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
        let (user, password) = (identifier(username)?, password(verifier)?);
        let mut session = self.administer(order).await?;
        let work = session.begin().await?;
        let held = role::change(&work, username, &password, order.fence).await?;
        let like = match like {
            Some(like) => role::find(&work, like).await?,
            None => None,
        };
        match (&held, like) {
            (Some(_), None) => {}
            (Some(user), Some(like)) => role::follow(&work, user, &like).await?,
            (None, Some(like)) => role::make(&work, username, &like, &password).await?,
            (None, None) => return Err(TargetError::NoUser),
        }
        let mark = role::mark(&user, held.as_ref(), order.fence);
        match work.attempt(&mark).await {
            // Whoever may change nothing but its own password may not comment itself either, and does without a fence.
            Err(TargetError::NotPermitted) if username == order.admin.username => {}
            marked => marked?,
        }
        work.commit().await
    }

    async fn administer(&self, order: &Order<'_>) -> Result<Session, TargetError> {
        Session::open(&self.guard, order.server, None, order.admin, order.within).await
    }
}

impl Rotator for Postgres {
    fn set<'a>(
        &'a self,
        order: Order<'a>,
        username: &'a str,
        like: Option<&'a str>,
        verifier: &'a Verifier,
    ) -> Reaching<'a, ()> {
        Box::pin(async move { self.set(&order, username, like, verifier).await })
    }

    fn test<'a>(&'a self, server: &'a Server, login: &'a Login, within: Duration) -> Reaching<'a, ()> {
        Box::pin(async move {
            match Session::open(&self.guard, server, None, login, within).await {
                // The password held, and the user is let in nevertheless not: to who logs in it is the same.
                Err(TargetError::NotPermitted) => Err(TargetError::LoginRefused),
                tried => tried.map(drop),
            }
        })
    }
}

impl Issuer for Postgres {
    fn check_template<'a>(&'a self, order: Order<'a>, template: &'a str) -> Reaching<'a, ()> {
        Box::pin(async move { self.check_template(&order, template).await })
    }

    fn issue<'a>(&'a self, order: Order<'a>, user: NewUser<'a>) -> Reaching<'a, ()> {
        Box::pin(async move { self.issue(&order, &user).await })
    }

    fn extend<'a>(&'a self, order: Order<'a>, username: &'a str, until: Time) -> Reaching<'a, ()> {
        Box::pin(async move { self.extend(&order, username, until).await })
    }

    fn revoke<'a>(&'a self, order: Order<'a>, username: &'a str, template: &'a str) -> Reaching<'a, ()> {
        Box::pin(async move { self.revoke(&order, username, template).await })
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
