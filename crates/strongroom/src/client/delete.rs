//! `strongroom delete`

use strongroom_domain::SecretPath;

use super::failure::Failure;
use super::session::Session;

/// Delete a secret's current version; `undelete` brings it back
#[derive(Debug, clap::Args)]
pub struct Delete {
    /// Its path
    path: String,
}

impl Delete {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let deleted = session.client.delete(&SecretPath::parse(&self.path)?).await?;
        session.output.show(&deleted, || {
            format!(
                "Version {0} of {1} is deleted; 'strongroom undelete {1} {0}' brings it back.",
                deleted.version, deleted.path
            )
        })
    }
}
