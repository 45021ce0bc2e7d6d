//! Users that last as long as a lease.

use strongroom_ports::{NewUser, Order, TargetError};

use super::Mysql;
use super::account::{Account, identified, role, shown};
use super::session::{Session, State};

/// Whether a role, or one that it has, may make itself into anybody, by what it may do to the server or to the tables that hold
/// its users, or reads all that is written. No row: there is no such role.
const RIGHTS: &str = "WITH RECURSIVE reached AS (SELECT CAST(? AS CHAR(128)) AS name UNION \
    SELECT Role FROM mysql.roles_mapping JOIN reached ON User = name AND Host = '') \
    SELECT 'Y' IN (Super_priv, Create_user_priv, Grant_priv, File_priv, Repl_slave_priv, Insert_priv, Update_priv) \
        OR EXISTS (SELECT 1 FROM mysql.db WHERE db.User = name AND db.Host = '' AND 'mysql' LIKE db.Db \
            AND 'Y' IN (db.Insert_priv, db.Update_priv, db.Grant_priv)) \
    FROM mysql.user JOIN reached ON user.User = name WHERE is_role = 'Y'";

impl Mysql {
    /// Makes a user by it and drops that.
    pub(super) async fn check_template(&self, order: &Order<'_>, template: &str) -> Result<(), TargetError> {
        let role = role(template)?;
        let mut session = self.administer(order).await?;
        check_rights(&mut session, template).await?;
        let trial = format!("strongroom trial {}", session.id());
        let trial = Account::parse(&trial)?;
        session.begin_user(&trial).await?;
        let given = give(&mut session, &trial, &role).await;
        session.run(&format!("DROP USER IF EXISTS {trial}")).await?;
        given
    }

    pub(super) async fn issue(&self, order: &Order<'_>, new: &NewUser<'_>) -> Result<(), TargetError> {
        let (user, password) = (Account::parse(new.username)?, identified(new.verifier)?);
        let role = role(new.template)?;
        let mut session = self.administer(order).await?;
        // It may have been given more since.
        check_rights(&mut session, new.template).await?;
        if matches!(session.state(&user).await?, State::Made | State::Second) {
            let ours = format!("GRANT {} TO {}@`%`", shown(new.template), shown(user.name()));
            let grants = session.lines(&format!("SHOW GRANTS FOR {user}")).await?;
            if !grants.contains(&ours) {
                return Err(TargetError::Refused("a user of this name is there, and is not ours"));
            }
        }
        session.begin_user(&user).await?;
        give(&mut session, &user, &role).await?;
        session.run(&format!("ALTER USER {user} {password}")).await
    }

    pub(super) async fn revoke(&self, order: &Order<'_>, username: &str) -> Result<(), TargetError> {
        let user = Account::parse(username)?;
        let mut session = self.administer(order).await?;
        match session.run(&format!("ALTER USER {user} ACCOUNT LOCK")).await {
            Err(TargetError::NoUser) => return Ok(()),
            locked => locked?,
        }
        session.run(&format!("KILL USER {user}")).await?;
        session.run(&format!("DROP USER IF EXISTS {user}")).await?;
        // Who was let in while the account was being locked.
        session.run(&format!("KILL USER {user}")).await
    }

    pub(super) async fn users(
        &self,
        order: &Order<'_>,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, TargetError> {
        let query = "SELECT User FROM mysql.user WHERE Host = '%' AND is_role = 'N' \
                     AND BINARY LEFT(User, CHAR_LENGTH(?)) = BINARY ? AND BINARY User > BINARY ? \
                     ORDER BY BINARY User LIMIT ?";
        let mut session = self.administer(order).await?;
        session.rows(query, (prefix, prefix, after, limit)).await
    }
}

async fn check_rights(session: &mut Session, template: &str) -> Result<(), TargetError> {
    let rights: Vec<bool> = session.rows(RIGHTS, (template,)).await?;
    if rights.is_empty() {
        return Err(TargetError::NoTemplate);
    }
    if rights.contains(&true) {
        return Err(TargetError::Refused(
            "the role, or one that it has, administers the server, makes users, writes everywhere, or reads its files or its log",
        ));
    }
    Ok(())
}

/// What the role may, from the start of each session.
async fn give(session: &mut Session, user: &Account<'_>, role: &str) -> Result<(), TargetError> {
    session.run(&format!("GRANT {role} TO {user}")).await?;
    session.run(&format!("SET DEFAULT ROLE {role} FOR {user}")).await
}
