//! A connection, and what is done in it at once or not at all.

use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use strongroom_domain::target::Tls;
use strongroom_ports::{Login, Server, TargetError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error, IsolationLevel, NoTls, Row, Transaction};
use tokio_util::task::AbortOnDropHandle;

use crate::guard::Guard;
use crate::reach::{self, Wire, lost};

/// Length 8, and the number that asks for TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

pub(super) struct Session {
    client: Client,
    until: Instant,
    /// What reads and writes: gone with the session, whatever the server does.
    _driver: AbortOnDropHandle<()>,
}

impl Session {
    /// `database`: another one than the server's own.
    pub(super) async fn open(
        guard: &Guard,
        server: &Server,
        database: Option<&str>,
        login: &Login,
        within: Duration,
    ) -> Result<Self, TargetError> {
        let until = Instant::now() + within;
        let stream = reach::open(guard, server).await?;
        let stream: Box<dyn Wire> = match server.tls {
            Tls::Off => reach::bounded(stream),
            Tls::Verify => reach::bounded(reach::secure(server, asked_for_tls(stream).await?).await?),
        };
        let mut config = Config::new();
        config
            .user(&login.username)
            .password(login.password.expose_secret())
            .application_name("strongroom")
            .ssl_mode(SslMode::Disable);
        if let Some(database) = database.or(server.database.as_deref()).or(server.engine.database()) {
            config.dbname(database);
        }
        let connected = config.connect_raw(stream, NoTls).await;
        let (client, connection) = connected.map_err(|error| fault(&error))?;
        let driver = tokio::spawn(async move {
            // What breaks it is told to whoever waits for an answer.
            let _ = connection.await;
        });
        Ok(Self {
            client,
            until,
            _driver: AbortOnDropHandle::new(driver),
        })
    }

    /// The server ends what takes longer than the time that is left, a pause of ours too. Functions and tables are PostgreSQL's
    /// own, whoever may make some in this database.
    pub(super) async fn begin(&mut self) -> Result<Work<'_>, TargetError> {
        let left = self.until.saturating_duration_since(Instant::now()).as_millis().max(1);
        let transaction = self.client.build_transaction().read_only(false);
        // What is read behind a lock is what the one before it left.
        let transaction = transaction.isolation_level(IsolationLevel::ReadCommitted).start().await;
        let transaction = transaction.map_err(|error| fault(&error))?;
        let work = Work { transaction };
        work.run(&format!(
            "SET LOCAL statement_timeout = {left}; SET LOCAL lock_timeout = {left}; \
             SET LOCAL idle_in_transaction_session_timeout = {left}; \
             SET LOCAL search_path = pg_catalog, pg_temp"
        ))
        .await?;
        Ok(work)
    }
}

async fn asked_for_tls(mut stream: TcpStream) -> Result<TcpStream, TargetError> {
    let asked = async {
        stream.write_all(&SSL_REQUEST).await?;
        stream.read_u8().await
    };
    match asked.await {
        Ok(b'S') => Ok(stream),
        Ok(b'N') => Err(TargetError::Refused("TLS, which it does not speak")),
        Ok(_) => Err(TargetError::Unreachable),
        Err(error) => Err(lost(&error)),
    }
}

pub(super) struct Work<'a> {
    transaction: Transaction<'a>,
}

impl Work<'_> {
    pub(super) async fn run(&self, statements: &str) -> Result<(), TargetError> {
        let done = self.transaction.batch_execute(statements).await;
        done.map_err(|error| fault(&error))
    }

    /// The transaction goes on after one that fails, too.
    pub(super) async fn attempt(&self, statement: &str) -> Result<(), TargetError> {
        self.run("SAVEPOINT attempt").await?;
        let done = self.run(statement).await;
        if done.is_err() {
            self.run("ROLLBACK TO attempt").await?;
        }
        done
    }

    pub(super) async fn rows(
        &self,
        query: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, TargetError> {
        let rows = self.transaction.query_typed(query, parameters).await;
        rows.map_err(|error| fault(&error))
    }

    pub(super) async fn commit(self) -> Result<(), TargetError> {
        self.transaction.commit().await.map_err(|error| fault(&error))
    }
}

/// A column of an answer, which has what the query says.
pub(super) fn column<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, TargetError> {
    row.try_get(at).map_err(|error| fault(&error))
}

/// By the codes of PostgreSQL's appendix A.
fn fault(error: &Error) -> TargetError {
    let Some(code) = error.code() else {
        return TargetError::Unreachable;
    };
    match code.code() {
        "28P01" | "28000" => TargetError::LoginRefused,
        "42501" => TargetError::NotPermitted,
        // Too many connections; not up yet; a deadlock; two that made, changed or dropped the same role at once.
        "53300" | "57P03" | "40P01" | "40001" | "42710" | "23505" | "XX000" | "42704" => TargetError::Busy,
        // Shut down, crashed, or dropped under us.
        "57P01" | "57P02" | "57P04" => TargetError::Unreachable,
        "57014" | "55P03" | "25P03" => TargetError::TimedOut,
        "3D000" => TargetError::Refused("it has no such database"),
        "25006" => TargetError::Refused("it takes no changes, as a standby does"),
        "2BP01" => TargetError::Refused("something depends on the user that cannot be given away"),
        "42939" => TargetError::Name("PostgreSQL keeps this one, as all that start with pg_"),
        "22021" | "22P05" => TargetError::Name("the database's encoding has not all of its characters"),
        code if code.starts_with("08") => TargetError::Unreachable,
        code if code.starts_with("53") => TargetError::Busy,
        _ => TargetError::Refused("its own log says why"),
    }
}
