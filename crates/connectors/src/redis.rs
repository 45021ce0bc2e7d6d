//! Redis 6 and newer, by its access lists; leases from 7 on. A user has several passwords at once there, so one that is set
//! stands beside the one before, and whoever has that is let in until the next.

mod rights;
mod session;
mod user;

use std::sync::Arc;
use std::time::Duration;

use strongroom_domain::Time;
use strongroom_ports::{Issuer, Login, NewUser, Order, Reaching, Rotator, Server, TargetError, Verifier};

use crate::guard::Guard;
use crate::targets::UNLIKE;
use rights::Groups;
use session::Session;
use user::{User, hash, name};

const TRIAL: &str = "strongroom-trial";

#[derive(Debug)]
pub(crate) struct Redis {
    guard: Arc<Guard>,
}

impl Redis {
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
        let (username, hash) = (name(username)?, hash(verifier)?);
        let mut session = self.administer(order).await?;
        let users = session.users().await?;
        let rules = match (find(&users, username), like.and_then(|like| find(&users, like))) {
            (Some(user), None) => user.with(hash),
            (Some(user), Some(like)) if user.is_ours => user.with_rights(hash, like),
            (Some(user), Some(like)) if user.may_as(like) => user.with(hash),
            (Some(_), Some(_)) => return Err(UNLIKE),
            (None, Some(like)) => like.second(hash),
            (None, None) => return Err(TargetError::NoUser),
        };
        session.set_user(username, &rules).await?;
        session.keep().await
    }

    async fn check_template(&self, order: &Order<'_>, template: &str) -> Result<(), TargetError> {
        name(template)?;
        let mut session = self.administer(order).await?;
        let users = session.users().await?;
        let template = find(&users, template).ok_or(TargetError::NoTemplate)?;
        check_rights(&mut session, template).await?;
        session.set_user(TRIAL, &template.off()).await?;
        session.drop_user(TRIAL).await?;
        session.keep().await
    }

    async fn issue(&self, order: &Order<'_>, new: &NewUser<'_>) -> Result<(), TargetError> {
        let (username, hash) = (name(new.username)?, hash(new.verifier)?);
        let mut session = self.administer(order).await?;
        let users = session.users().await?;
        let template = find(&users, new.template).ok_or(TargetError::NoTemplate)?;
        if find(&users, username).is_some_and(|there| !there.may_as(template)) {
            return Err(TargetError::Refused("a user of this name is there, and is not ours"));
        }
        // It may have been given more since.
        check_rights(&mut session, template).await?;
        session.set_user(username, &template.another(hash)).await?;
        session.keep().await
    }

    /// Redis ends the sessions of a user that it drops.
    async fn revoke(&self, order: &Order<'_>, username: &str) -> Result<(), TargetError> {
        let mut session = self.administer(order).await?;
        session.drop_user(name(username)?).await?;
        session.keep().await
    }

    async fn users(
        &self,
        order: &Order<'_>,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, TargetError> {
        let users = self.administer(order).await?.users().await?;
        let names = users.into_iter().map(|user| user.name);
        let mut names: Vec<_> = names
            .filter(|name| name.starts_with(prefix) && name.as_str() > after)
            .collect();
        names.sort_unstable();
        names.truncate(limit);
        Ok(names)
    }

    async fn administer(&self, order: &Order<'_>) -> Result<Session, TargetError> {
        Session::open(&self.guard, order.server, order.admin).await
    }
}

async fn check_rights(session: &mut Session, template: &User) -> Result<(), TargetError> {
    let mut named = rights::groups(template);
    named.insert(rights::ADMIN);
    let mut groups = Groups::new();
    for name in named {
        groups.insert(name.to_owned(), session.group(name).await?);
    }
    if rights::administers(template, &groups) {
        return Err(TargetError::Refused("the user administers the server"));
    }
    Ok(())
}

fn find<'a>(users: &'a [User], name: &str) -> Option<&'a User> {
    users.iter().find(|user| user.name == name)
}

impl Rotator for Redis {
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
        Box::pin(async move { Session::open(&self.guard, server, login).await.map(drop) })
    }
}

impl Issuer for Redis {
    fn check_template<'a>(&'a self, order: Order<'a>, template: &'a str) -> Reaching<'a, ()> {
        Box::pin(async move { self.check_template(&order, template).await })
    }

    fn issue<'a>(&'a self, order: Order<'a>, user: NewUser<'a>) -> Reaching<'a, ()> {
        Box::pin(async move { self.issue(&order, &user).await })
    }

    /// There is nothing to be told: the server has no time after which it lets nobody in.
    fn extend<'a>(&'a self, order: Order<'a>, username: &'a str, _: Time) -> Reaching<'a, ()> {
        Box::pin(async move {
            let users = self.administer(&order).await?.users().await?;
            find(&users, username).map(|_| ()).ok_or(TargetError::NoUser)
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
