//! Roles: found, made to act as another, and marked with the order that changed them last.

use strongroom_ports::TargetError;
use tokio_postgres::types::Type;

use super::quote::{identifier, literal, setting};
use super::session::{Work, column};

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

/// One that logs in and then acts as `like` does, with its settings.
pub(super) async fn make(work: &Work<'_>, user: &str, like: &Role, clauses: &str) -> Result<(), TargetError> {
    let member = identifier(&like.name)?;
    work.run(&format!(
        "CREATE ROLE {user} LOGIN {clauses}; GRANT {member} TO {user}; ALTER ROLE {user} SET role = {}",
        literal(&like.name)
    ))
    .await?;
    let query = "SELECT datname, split_part(entry, '=', 1), substr(entry, strpos(entry, '=') + 1) \
                 FROM pg_db_role_setting CROSS JOIN unnest(setconfig) entry \
                 LEFT JOIN pg_database ON pg_database.oid = setdatabase WHERE setrole = $1";
    for row in work.rows(query, &[(&like.oid, Type::OID)]).await? {
        let (database, name, value) = (column::<Option<String>>(&row, 0)?, column(&row, 1)?, column(&row, 2)?);
        let within = match database {
            None => String::new(),
            Some(database) => format!("IN DATABASE {}", identifier(&database)?),
        };
        copy(work, &format!("ALTER ROLE {user} {within} SET"), name, value).await?;
    }
    Ok(())
}

/// By way of the transaction's own value: a list has to be written as a list, and this reads it as PostgreSQL does.
async fn copy(work: &Work<'_>, alter: &str, name: &str, value: &str) -> Result<(), TargetError> {
    // Whom `like` acts as from its start. Ours must not.
    if name == "role" {
        return work.run(&format!("{alter} role = {}", literal(value))).await;
    }
    let (give, was) = ("SELECT set_config($1, $2, true)", "SELECT current_setting($1, true)");
    let rows = work.rows(was, &[(&name, Type::TEXT)]).await?;
    let was: Option<String> = rows.first().map_or(Ok(None), |row| column(row, 0))?;
    work.rows(give, &[(&name, Type::TEXT), (&value, Type::TEXT)]).await?;
    work.run(&format!("{alter} {} FROM CURRENT", setting(name)?)).await?;
    if let Some(was) = was {
        work.rows(give, &[(&name, Type::TEXT), (&was, Type::TEXT)]).await?;
    }
    Ok(())
}
