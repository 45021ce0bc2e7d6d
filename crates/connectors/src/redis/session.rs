//! A connection.

use std::collections::BTreeSet;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisConnectionInfo, RedisError, cmd};
use secrecy::ExposeSecret;
use strongroom_ports::{Login, Server, TargetError};
use tokio_util::task::AbortOnDropHandle;

use super::user::User;
use crate::guard::Guard;
use crate::reach;

pub(super) struct Session {
    connection: MultiplexedConnection,
    /// What reads and writes: gone with the session, whatever the server does.
    _driver: AbortOnDropHandle<()>,
}

impl Session {
    pub(super) async fn open(guard: &Guard, server: &Server, login: &Login) -> Result<Self, TargetError> {
        let stream = reach::wire(guard, server).await?;
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        // Whoever asked has set the time.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let connected = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (connection, driver) = connected.map_err(|error| fault(&error))?;
        let mut session = Self {
            connection,
            _driver: AbortOnDropHandle::new(tokio::spawn(driver)),
        };
        let mut auth = cmd("AUTH");
        auth.arg(&login.username).arg(login.password.expose_secret());
        session.ask::<()>(&auth).await?;
        Ok(session)
    }

    pub(super) async fn users(&mut self) -> Result<Vec<User>, TargetError> {
        let lines: Vec<Vec<u8>> = self.ask(cmd("ACL").arg("LIST")).await?;
        let lines = lines.iter().map(|line| String::from_utf8_lossy(line));
        Ok(lines.filter_map(|line| User::parse(&line)).collect())
    }

    /// Makes one where there is none. All of it at once, or nothing.
    pub(super) async fn set_user(&mut self, name: &str, rules: &[String]) -> Result<(), TargetError> {
        self.ask(cmd("ACL").arg("SETUSER").arg(name).arg(rules)).await
    }

    /// One that is not there is dropped.
    pub(super) async fn drop_user(&mut self, name: &str) -> Result<(), TargetError> {
        self.ask::<i64>(cmd("ACL").arg("DELUSER").arg(name)).await.map(drop)
    }

    /// The commands in one.
    pub(super) async fn group(&mut self, name: &str) -> Result<BTreeSet<String>, TargetError> {
        self.ask(cmd("ACL").arg("CAT").arg(name)).await
    }

    /// Writes users where the server keeps them. One that has neither a file of users nor one of settings keeps none.
    pub(super) async fn keep(&mut self) -> Result<(), TargetError> {
        match self.tried(cmd("ACL").arg("SAVE")).await {
            Err(error) if says(&error, "not configured to use an ACL file") => {}
            saved => return saved.map_err(|error| fault(&error)),
        }
        match self.tried(cmd("CONFIG").arg("REWRITE")).await {
            Err(error) if says(&error, "without a config file") => Ok(()),
            written => written.map_err(|error| fault(&error)),
        }
    }

    async fn tried(&mut self, command: &Cmd) -> Result<(), RedisError> {
        command.query_async(&mut self.connection).await
    }

    async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, TargetError> {
        let answer = command.query_async(&mut self.connection).await;
        answer.map_err(|error| fault(&error))
    }
}

fn says(error: &RedisError, what: &str) -> bool {
    error.detail().is_some_and(|detail| detail.contains(what))
}

fn fault(error: &RedisError) -> TargetError {
    match error.code() {
        Some("WRONGPASS" | "NOAUTH") => TargetError::LoginRefused,
        Some("NOPERM") => TargetError::NotPermitted,
        Some("LOADING" | "BUSY" | "TRYAGAIN" | "MASTERDOWN") => TargetError::Busy,
        Some("DENIED") => TargetError::Refused("connections from elsewhere, in its protected mode"),
        Some("ERR") if says(error, "max number of clients") => TargetError::Busy,
        Some(_) => TargetError::Refused("its own log says why"),
        None if error.is_timeout() => TargetError::TimedOut,
        None => TargetError::Unreachable,
    }
}
