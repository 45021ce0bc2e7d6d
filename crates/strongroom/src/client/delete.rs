//! `strongroom delete`

use serde_json::json;
use strongroom_domain::SecretPath;

use super::failure::Failure;
use super::session::Session;

/// Delete a secret's current version, or with `--all` the whole secret
///
/// `undelete` brings the version back, `restore` the secret until its time is over.
#[derive(Debug, clap::Args)]
pub struct Delete {
    /// Its path
    path: String,
    /// The secret with all its versions and metadata
    #[arg(long)]
    all: bool,
    /// How long it can be restored: 7 to 30 days; 7 if not said
    #[arg(long, value_name = "DAYS", requires = "all")]
    recovery_days: Option<u16>,
    /// At once and for good
    #[arg(long, requires = "all", conflicts_with = "recovery_days")]
    purge: bool,
}

impl Delete {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let path = SecretPath::parse(&self.path)?;
        if self.purge {
            session.client.purge(&path).await?;
            return session
                .output
                .show(&json!({ "path": path.as_str() }), || format!("{path} is gone."));
        }
        if self.all {
            let retired = session.client.retire(&path, self.recovery_days).await?;
            return session.output.show(&retired, || {
                format!(
                    "{path} is pending deletion; 'strongroom restore {path}' brings it back until {}.",
                    retired.pending_until
                )
            });
        }
        let deleted = session.client.delete(&path).await?;
        session.output.show(&deleted, || {
            format!(
                "Version {0} of {1} is deleted; 'strongroom undelete {1} {0}' brings it back.",
                deleted.version, deleted.path
            )
        })
    }
}
