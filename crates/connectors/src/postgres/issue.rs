//! Users that last as long as a lease.

use strongroom_domain::Time;
use strongroom_ports::{NewUser, Order, TargetError};
use tokio_postgres::types::Type;

use super::quote::{identifier, literal, password};
use super::role::{self, Role};
use super::session::{Work, column};
use super::{Postgres, revoke};

/// Whom a template stands for too, by membership: whoever is made by it could act as them. Of PostgreSQL's own roles, those are
/// let through that reach no further than tables and statistics; one that is not known yet is not.
const RIGHTS: &str = "WITH RECURSIVE reached AS (SELECT $1::oid AS oid UNION \
    SELECT roleid FROM pg_auth_members JOIN reached ON member = reached.oid) \
    SELECT bool_or(rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls \
        OR starts_with(rolname::text, 'pg_') AND rolname NOT IN ('pg_read_all_data', 'pg_write_all_data', \
            'pg_monitor', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables', 'pg_database_owner')) \
    FROM pg_roles JOIN reached USING (oid)";

const TRIAL: &str = "strongroom trial";

impl Postgres {
    /// Makes a user by it and removes it again, without doing either.
    pub(super) async fn check_template(&self, order: &Order<'_>, template: &str) -> Result<(), TargetError> {
        identifier(template)?;
        let mut session = self.administer(order).await?;
        let work = session.begin().await?;
        let template = find_template(&work, template).await?;
        role::make(&work, TRIAL, &template, "").await?;
        let trial = identifier(TRIAL)?;
        work.run(&role::mark(&trial, None, order.fence)).await?;
        work.run(&format!("GRANT {trial} TO CURRENT_USER")).await?;
        work.run(&revoke::give_away(&trial, &identifier(&template.name)?))
            .await?;
        work.run(&format!("DROP ROLE {trial}")).await
    }

    pub(super) async fn issue(&self, order: &Order<'_>, new: &NewUser<'_>) -> Result<(), TargetError> {
        let (user, password) = (identifier(new.username)?, password(new.verifier)?);
        let clauses = format!("{password} {}", until(new.until));
        let mut session = self.administer(order).await?;
        let work = session.begin().await?;
        let held = role::change(&work, new.username, &format!("LOGIN {clauses}"), order.fence).await?;
        match &held {
            None => {
                // It may have been given more since.
                let template = find_template(&work, new.template).await?;
                role::make(&work, new.username, &template, &clauses).await?;
            }
            Some(made) if made.order().is_some() => {}
            Some(_) => return Err(TargetError::Refused("a user of this name is there, and is not ours")),
        }
        work.run(&role::mark(&user, held.as_ref(), order.fence)).await?;
        work.commit().await
    }

    pub(super) async fn extend(&self, order: &Order<'_>, username: &str, to: Time) -> Result<(), TargetError> {
        let user = identifier(username)?;
        let mut session = self.administer(order).await?;
        let work = session.begin().await?;
        let held = role::change(&work, username, &until(to), order.fence).await?;
        let held = held.ok_or(TargetError::NoUser)?;
        work.run(&role::mark(&user, Some(&held), order.fence)).await?;
        work.commit().await
    }

    pub(super) async fn users(
        &self,
        order: &Order<'_>,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, TargetError> {
        let query = "SELECT rolname FROM pg_roles WHERE starts_with(rolname::text, $1) \
                     AND rolname::text COLLATE \"C\" > $2 ORDER BY rolname::text COLLATE \"C\" LIMIT $3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut session = self.administer(order).await?;
        let work = session.begin().await?;
        let parameters: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)] =
            &[(&prefix, Type::TEXT), (&after, Type::TEXT), (&limit, Type::INT8)];
        let rows = work.rows(query, parameters).await?;
        rows.iter().map(|row| column(row, 0)).collect()
    }
}

async fn find_template(work: &Work<'_>, name: &str) -> Result<Role, TargetError> {
    let template = role::find(work, name).await?.ok_or(TargetError::NoTemplate)?;
    let rows = work.rows(RIGHTS, &[(&template.oid, Type::OID)]).await?;
    if rows.first().map_or(Ok(true), |row| column(row, 0))? {
        return Err(TargetError::Refused(
            "the role, or one that it may become, is a superuser, makes roles, replicates, passes row security, or is one of \
             PostgreSQL's own that reaches beyond tables",
        ));
    }
    Ok(template)
}

fn until(time: Time) -> String {
    format!("VALID UNTIL {}", literal(&time.to_string()))
}
