//! A connection.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use mysql_async::prelude::{FromRow, Protocol, Queryable};
use mysql_async::{Conn, DriverError, Error, IoError, OptsBuilder, Params, QueryResult, SslOpts, Value};
use secrecy::ExposeSecret;
use strongroom_domain::target::Tls;
use strongroom_ports::{Login, Server, TargetError};
use tokio::runtime::Handle;

use super::account::Account;
use crate::guard::Guard;
use crate::reach;

/// What no password has as its hash, as far as anybody can tell.
const NOBODYS: &str = "*0000000000000000000000000000000000000000";

/// What tells one that was made to take turns with another: of all that a server keeps with a user, nothing else means as little,
/// and stays whatever password is set. A number of days that nobody chooses.
pub(super) const SECOND: &str = "PASSWORD EXPIRE INTERVAL 65521 DAY";

pub(super) const DEFAULT_ROLE: &str = "SET DEFAULT ROLE ";

/// What is taken of a server at once. The driver opens its connections itself, so that what comes in all is only bounded by rows.
const PACKET: usize = 64 << 10;
/// What a row takes besides its values.
const ROW: usize = 64;

/// What a connection and a login seldom take.
const SLOW: Duration = Duration::from_secs(1);
/// How long a server may take to be told that we leave.
const GOODBYE: Duration = Duration::from_secs(1);

/// Of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Missing,
    /// Nobody can log in by it, and its rights may lack.
    Begun,
    Made,
    /// By us, to take turns with another.
    Second,
}

pub(super) struct Session {
    /// There until the end.
    connection: Option<Conn>,
}

impl Session {
    pub(super) async fn open(guard: &Guard, server: &Server, login: &Login) -> Result<Self, TargetError> {
        let addresses = guard.addresses(&server.host).await?;
        let options = OptsBuilder::default()
            .ip_or_hostname(server.host.trim_end_matches('.'))
            .tcp_port(server.port)
            .user(Some(&login.username))
            .pass(Some(login.password.expose_secret()))
            .db_name(server.database.as_deref())
            .max_allowed_packet(Some(PACKET))
            // A server on this machine would else name a file to connect to.
            .prefer_socket(false)
            .ssl_opts(tls(server)?);
        let mut failed = TargetError::Unreachable;
        for address in addresses {
            match connect(options.clone(), SocketAddr::new(address, server.port)).await {
                Err(error @ (TargetError::Unreachable | TargetError::TimedOut)) => failed = error,
                connected => {
                    let connection = Some(connected?);
                    return Ok(Self { connection });
                }
            }
        }
        Err(failed)
    }

    /// The server ends what takes longer, MySQL only what waits for a lock. Texts are quoted by quotes alone.
    pub(super) async fn bound(&mut self, within: Duration) -> Result<(), TargetError> {
        let (whole, exact) = (within.as_secs().max(1), within.as_secs_f64().max(0.001));
        self.run(&format!(
            "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES', sql_quote_show_create = 1, lock_wait_timeout = {whole} \
             /*M! , max_statement_time = {exact} */"
        ))
        .await
    }

    /// The server's number of this connection.
    pub(super) fn id(&self) -> u32 {
        self.connection.as_ref().map_or(0, Conn::id)
    }

    fn connection(&mut self) -> Result<&mut Conn, TargetError> {
        self.connection.as_mut().ok_or(TargetError::Unreachable)
    }

    pub(super) async fn run(&mut self, statement: &str) -> Result<(), TargetError> {
        let done = self.connection()?.query_drop(statement).await;
        done.map_err(|error| denied(&error))
    }

    pub(super) async fn run_all(&mut self, statements: &BTreeSet<String>) -> Result<(), TargetError> {
        for statement in statements {
            self.run(statement).await?;
        }
        Ok(())
    }

    pub(super) async fn lines(&mut self, query: &str) -> Result<Vec<String>, TargetError> {
        let result = self.connection()?.query_iter(query).await;
        taken(result.map_err(|error| denied(&error))?).await
    }

    pub(super) async fn rows<T>(
        &mut self,
        query: &str,
        parameters: impl Into<Params> + Send,
    ) -> Result<Vec<T>, TargetError>
    where
        T: mysql_async::prelude::FromRow + Send + 'static,
    {
        let result = self.connection()?.exec_iter(query, parameters.into()).await;
        taken(result.map_err(|error| denied(&error))?).await
    }

    pub(super) async fn state(&mut self, user: &Account<'_>) -> Result<State, TargetError> {
        match self.lines(&format!("SHOW CREATE USER {user}")).await {
            Err(TargetError::NoUser) => Ok(State::Missing),
            Err(error) => Err(error),
            Ok(lines) => {
                let says = |what| lines.iter().any(|line| line.contains(what));
                Ok(match (says(NOBODYS), says(SECOND)) {
                    (true, _) => State::Begun,
                    (false, true) => State::Second,
                    (false, false) => State::Made,
                })
            }
        }
    }

    /// What gives `to` all that `from` may, and how it has to connect, in the order in which it can be given.
    pub(super) async fn grants(
        &mut self,
        from: &Account<'_>,
        to: &Account<'_>,
    ) -> Result<BTreeSet<String>, TargetError> {
        let lines = self.lines(&format!("SHOW GRANTS FOR {from}")).await?;
        let handed = lines.iter().map(|line| from.handed_to(to, line));
        let handed: Option<BTreeSet<_>> = handed.filter(|handed| handed.as_deref() != Some("")).collect();
        let mut handed = handed.ok_or(TargetError::Refused("a grant of the first user's is not understood"))?;
        // One that was taken away is listed as the default on and on, and cannot be given as that.
        let granted = handed.clone();
        handed.retain(|line| {
            let role = line
                .strip_prefix(DEFAULT_ROLE)
                .and_then(|rest| rest.split_once(" FOR "));
            role.is_none_or(|(role, _)| {
                let grant = format!("GRANT {role} TO ");
                granted.iter().any(|line| line.starts_with(&grant))
            })
        });
        Ok(handed)
    }

    /// One that is there, and by which nobody can log in.
    pub(super) async fn begin_user(&mut self, user: &Account<'_>) -> Result<(), TargetError> {
        let password = format!("IDENTIFIED WITH mysql_native_password AS '{NOBODYS}'");
        self.run(&format!("CREATE USER IF NOT EXISTS {user} {password}")).await
    }
}

/// The driver opens its connections itself, and waits as long for one as the machine does, while a login may take its time: the
/// server looks up our name. So of one that is slow it is seen whether anybody is there at all.
async fn connect(options: OptsBuilder, address: SocketAddr) -> Result<Conn, TargetError> {
    let mut connecting = pin!(Conn::new(options.resolved_ips(Some(vec![address.ip()]))));
    let seen = async {
        tokio::time::sleep(SLOW).await;
        reach::call(address).await
    };
    let connected = tokio::select! {
        biased;
        connected = &mut connecting => connected,
        there = seen => {
            drop(there?);
            connecting.await
        }
    };
    connected.map_err(|error| fault(&error))
}

impl Drop for Session {
    /// The server complains of one that leaves without a word.
    fn drop(&mut self) {
        if let (Some(connection), Ok(runtime)) = (self.connection.take(), Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(GOODBYE, connection.disconnect()));
        }
    }
}

/// All rows of an answer, if it is no larger than any may be.
async fn taken<T: FromRow, P: Protocol>(mut result: QueryResult<'_, 'static, P>) -> Result<Vec<T>, TargetError> {
    let (mut rows, mut left) = (Vec::new(), reach::MOST);
    while let Some(row) = result.next().await.map_err(|error| denied(&error))? {
        let size = |at| {
            row.as_ref(at).map_or(0, |value: &Value| match value {
                Value::Bytes(bytes) => bytes.len(),
                _ => 0,
            })
        };
        let whole = ROW + (0..row.len()).map(size).sum::<usize>();
        let fits = left.checked_sub(whole).zip(T::from_row_opt(row).ok());
        let Some((rest, row)) = fits else {
            tracing::warn!("a target answered more than is taken of one, or something else than it was asked for");
            return Err(TargetError::Unreachable);
        };
        left = rest;
        rows.push(row);
    }
    Ok(rows)
}

fn tls(server: &Server) -> Result<Option<SslOpts>, TargetError> {
    if server.tls == Tls::Off {
        return Ok(None);
    }
    let authorities = reach::authorities(server.ca_pem.as_deref())?;
    let authorities = authorities.into_iter().map(|der| der.to_vec().into());
    let options = SslOpts::default()
        .with_root_certs(authorities.collect())
        .with_disable_built_in_roots(true);
    Ok(Some(options))
}

/// Of one who is logged in: what the server calls a refused login is a refused statement.
fn denied(error: &Error) -> TargetError {
    match fault(error) {
        TargetError::LoginRefused => TargetError::NotPermitted,
        other => other,
    }
}

fn fault(error: &Error) -> TargetError {
    match error {
        Error::Server(said) => refusal(said.code),
        Error::Driver(DriverError::NoClientSslFlagFromServer) => TargetError::Refused("TLS, which it does not speak"),
        Error::Io(IoError::Io(error)) => reach::lost(error),
        _ => TargetError::Unreachable,
    }
}

/// By the numbers that MariaDB's list of errors has.
fn refusal(code: u16) -> TargetError {
    match code {
        // Wrong password; account locked (MySQL, MariaDB); not from this host; without TLS.
        1045 | 1698 | 3118 | 4151 | 1130 => TargetError::LoginRefused,
        // To a database; a command; a column; something global; a grant that is not the administrator's to give.
        1044 | 1142 | 1143 | 1227 | 1410 => TargetError::NotPermitted,
        // Too many connections, of all and of this user.
        1040 | 1203 | 1226 => TargetError::Busy,
        1205 | 1969 | 3024 => TargetError::TimedOut,
        // Going down, gone, killed.
        1053 | 1077 | 1317 | 1927 => TargetError::Unreachable,
        1133 | 1141 | 1396 => TargetError::NoUser,
        1959 => TargetError::NoTemplate,
        1470 => TargetError::Name("the server takes none as long as this; MySQL's have at most 32 characters"),
        1049 => TargetError::Refused("it has no such database"),
        1129 => TargetError::Refused("it blocks this host after failed connections, until FLUSH HOSTS"),
        1290 | 1836 => TargetError::Refused("it takes no changes, as a replica does"),
        _ => TargetError::Refused("its own log says why"),
    }
}
