//! Roles: found, made to act as another, and marked with the order that changed them last.

use strongroom_ports::TargetError;
use tokio_postgres::types::{ToSql, Type};

use super::quote::{identifier, literal, setting};
use super::session::{Work, column};
use crate::targets::UNLIKE;

/// A line of the role's comment. Whoever may change a role may comment it, in every version and at every provider; a setting of
/// our own only a superuser may give.
const MARK: &str = "strongroom order ";

pub(super) struct Role {
    pub(super) name: String,
    pub(super) oid: u32,
    comment: String,
}

impl Role {
    /// The order that changed it last, where any of ours did.
    pub(super) fn order(&self) -> Option<i64> {
        let number = |line: &str| line.strip_prefix(MARK)?.parse().ok();
        self.comment.lines().find_map(number)
    }
}

pub(super) async fn find(work: &Work<'_>, name: &str) -> Result<Option<Role>, TargetError> {
    let query = "SELECT oid, shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1";
    let rows = work.rows(query, &[(&name, Type::NAME)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(Role {
        name: name.to_owned(),
        oid: column(row, 0)?,
        comment: column::<Option<String>>(row, 1)?.unwrap_or_default(),
    }))
}

/// Changes a user, and returns it; none where it is not there. The change holds its row until the transaction ends: another order
/// for it, from whichever database, waits and then fails. Only so is the comparison with the last order of any worth, and where
/// that is newer, everything here is undone.
pub(super) async fn change(
    work: &Work<'_>,
    username: &str,
    clauses: &str,
    fence: i64,
) -> Result<Option<Role>, TargetError> {
    if find(work, username).await?.is_none() {
        return Ok(None);
    }
    work.run(&format!("ALTER ROLE {} {clauses}", identifier(username)?))
        .await?;
    let role = find(work, username).await?;
    if role.as_ref().and_then(Role::order).is_some_and(|done| done > fence) {
        return Err(TargetError::Overtaken);
    }
    Ok(role)
}

/// The statement that marks one. What else its comment says stays.
pub(super) fn mark(user: &str, before: Option<&Role>, fence: i64) -> String {
    let comment = before.map_or("", |role| &role.comment);
    let theirs = comment.lines().filter(|line| !line.starts_with(MARK));
    let mut lines: Vec<_> = theirs.map(str::to_owned).collect();
    lines.push(format!("{MARK}{fence}"));
    format!("COMMENT ON ROLE {user} IS {}", literal(&lines.join("\n")))
}

/// One that logs in and then acts as `like` does.
pub(super) async fn make(work: &Work<'_>, username: &str, like: &Role, clauses: &str) -> Result<(), TargetError> {
    let (user, member) = (identifier(username)?, identifier(&like.name)?);
    work.run(&format!("CREATE ROLE {user} LOGIN {clauses}; GRANT {member} TO {user}"))
        .await?;
    let made = find(work, username).await?.ok_or(TargetError::NoUser)?;
    settle(work, &made, like).await
}

/// The second of two who take turns is a member of the first: so it may what that was given since, and gets its settings here.
pub(super) async fn follow(work: &Work<'_>, user: &Role, like: &Role) -> Result<(), TargetError> {
    if is_member(work, user, like).await? {
        return settle(work, user, like).await;
    }
    Err(UNLIKE)
}

/// By membership alone: a superuser counts as everybody's elsewhere.
async fn is_member(work: &Work<'_>, user: &Role, of: &Role) -> Result<bool, TargetError> {
    let query = "WITH RECURSIVE reached AS (SELECT $1::oid AS oid UNION \
                 SELECT roleid FROM pg_auth_members JOIN reached ON member = reached.oid) \
                 SELECT bool_or(oid = $2) FROM reached";
    let rows = work
        .rows(query, &[(&user.oid, Type::OID), (&of.oid, Type::OID)])
        .await?;
    rows.first().map_or(Ok(false), |row| column(row, 0))
}

/// How a session of `user` begins: as `like` does, and as `like` unless that acts as another from its start.
async fn settle(work: &Work<'_>, user: &Role, like: &Role) -> Result<(), TargetError> {
    let query = "WITH given AS (SELECT setrole, setdatabase, split_part(entry, '=', 1) AS name, \
                     substr(entry, strpos(entry, '=') + 1) AS value \
                     FROM pg_db_role_setting CROSS JOIN unnest(setconfig) entry), \
                 held AS (SELECT setdatabase, name, value FROM given WHERE setrole = $1), \
                 own AS (SELECT setdatabase, name, value FROM given WHERE setrole = $2), \
                 wanted AS (SELECT * FROM own UNION ALL SELECT 0::oid, 'role', $3 \
                     WHERE NOT EXISTS (SELECT FROM own WHERE setdatabase = 0 AND name = 'role')) \
                 SELECT datname, name, wanted.value FROM wanted FULL JOIN held USING (setdatabase, name) \
                 LEFT JOIN pg_database ON pg_database.oid = setdatabase WHERE wanted.value IS DISTINCT FROM held.value";
    let parameters: &[(&(dyn ToSql + Sync), Type)] =
        &[(&user.oid, Type::OID), (&like.oid, Type::OID), (&like.name, Type::TEXT)];
    let quoted = identifier(&user.name)?;
    for row in work.rows(query, parameters).await? {
        let (database, name) = (column::<Option<String>>(&row, 0)?, column(&row, 1)?);
        let within = match database {
            None => String::new(),
            Some(database) => format!("IN DATABASE {}", identifier(&database)?),
        };
        let alter = format!("ALTER ROLE {quoted} {within}");
        match column(&row, 2)? {
            Some(value) => copy(work, &format!("{alter} SET"), name, value).await?,
            None => work.run(&format!("{alter} RESET {}", setting(name)?)).await?,
        }
    }
    Ok(())
}

/// By way of the transaction's own value: a list has to be written as a list, and this reads it as PostgreSQL does.
async fn copy(work: &Work<'_>, alter: &str, name: &str, value: &str) -> Result<(), TargetError> {
    // Whom `like` acts as from its start. Ours must not.
    if name == "role" {
        return work.run(&format!("{alter} role = {}", literal(value))).await;
    }
    // Whose path this may be for a moment can have functions of these names.
    let give = "SELECT pg_catalog.set_config($1, $2, true)";
    let was = "SELECT pg_catalog.current_setting($1, true)";
    let rows = work.rows(was, &[(&name, Type::TEXT)]).await?;
    let was: Option<String> = rows.first().map_or(Ok(None), |row| column(row, 0))?;
    work.rows(give, &[(&name, Type::TEXT), (&value, Type::TEXT)]).await?;
    work.run(&format!("{alter} {} FROM CURRENT", setting(name)?)).await?;
    if let Some(was) = was {
        work.rows(give, &[(&name, Type::TEXT), (&was, Type::TEXT)]).await?;
    }
    Ok(())
}
