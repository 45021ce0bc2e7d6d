//! The end of a user: nobody logs in by it any more, nobody is logged in, nothing is its own, it is gone. Each step may be done
//! twice, and a revocation that ended midway starts anew.

use std::time::Duration;

use strongroom_ports::{Order, TargetError};
use tokio_postgres::types::Type;

use super::Postgres;
use super::quote::identifier;
use super::role;
use super::session::{Session, column};

const POLL: Duration = Duration::from_millis(20);

impl Postgres {
    pub(super) async fn revoke(&self, order: &Order<'_>, username: &str, template: &str) -> Result<(), TargetError> {
        let user = identifier(username)?;
        let mut session = self.administer(order).await?;
        let work = session.begin().await?;
        let ended = "NOLOGIN VALID UNTIL '-infinity'";
        let Some(role) = role::change(&work, username, ended, i64::MAX).await? else {
            return Ok(());
        };
        // Membership is what lets one who is no superuser end its sessions and give away what it owns.
        work.run(&format!("GRANT {user} TO CURRENT_USER")).await?;
        work.commit().await?;
        end_sessions(&mut session, role.oid).await?;

        let work = session.begin().await?;
        let found = role::find(&work, template).await?;
        let template = identifier(&found.ok_or(TargetError::NoTemplate)?.name)?;
        let databases = databases(&work, role.oid).await?;
        work.run(&give_away(&user, &template)).await?;
        work.commit().await?;
        for database in databases {
            let opened = Session::open(&self.guard, order.server, Some(&database), order.admin, order.within);
            let mut there = opened.await?;
            let work = there.begin().await?;
            work.run(&give_away(&user, &template)).await?;
            work.commit().await?;
        }

        let work = session.begin().await?;
        if role::find(&work, username).await?.is_some() {
            work.run(&format!("DROP ROLE {user}")).await?;
        }
        work.commit().await
    }
}

/// What it owns in this database, and what all databases share; then what it may.
pub(super) fn give_away(user: &str, template: &str) -> String {
    format!("REASSIGN OWNED BY {user} TO {template}; DROP OWNED BY {user}")
}

async fn end_sessions(session: &mut Session, oid: u32) -> Result<(), TargetError> {
    let query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid = $1";
    loop {
        // What a transaction sees of activity does not change within it.
        let work = session.begin().await?;
        let found = work.rows(query, &[(&oid, Type::OID)]).await?;
        work.commit().await?;
        if found.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Others than this one, in which something depends on the role.
async fn databases(work: &super::session::Work<'_>, oid: u32) -> Result<Vec<String>, TargetError> {
    let query = "SELECT DISTINCT datname, datallowconn FROM pg_shdepend JOIN pg_database ON pg_database.oid = dbid \
                 WHERE refclassid = 'pg_authid'::regclass AND refobjid = $1 AND datname <> current_database()";
    let mut names = Vec::new();
    for row in work.rows(query, &[(&oid, Type::OID)]).await? {
        if !column::<bool>(&row, 1)? {
            return Err(TargetError::Refused(
                "the user has something in a database that takes no connections",
            ));
        }
        names.push(column(&row, 0)?);
    }
    Ok(names)
}
