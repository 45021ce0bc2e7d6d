//! `strongroom restore`

use serde_json::json;
use strongroom_domain::SecretPath;

use super::failure::Failure;
use super::session::Session;

/// Bring a whole secret back that is pending deletion
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// Its path
    path: String,
}

impl Restore {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let path = SecretPath::parse(&self.path)?;
        session.client.restore(&path).await?;
        session
            .output
            .show(&json!({ "path": path.as_str() }), || format!("{path} is back."))
    }
}
