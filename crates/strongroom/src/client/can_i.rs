//! `strongroom can-i`

use strongroom_api::explain::{Decision, Explain};

use super::failure::Failure;
use super::session::Session;
use super::who_can::capability;

/// Whether something is allowed, and by which rule; exit code 4: it is not, and what is missing is said
#[derive(Debug, clap::Args)]
pub struct CanI {
    /// Such as read, list, create or update
    capability: String,
    /// A secret, or a folder with a `/` behind it; or a policy's path, such as sys/audit
    path: String,
    /// Somebody else: a principal's id, or the name of a client or an operator
    #[arg(long)]
    principal: Option<String>,
}

impl CanI {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let body = Explain {
            capability: Some(capability(&self.capability)?),
            path: Some(self.path),
            principal: self.principal,
            ..Explain::default()
        };
        let found = session.client.explain(&body).await?;
        session
            .output
            .show(&found, || found.detail.replace(char::is_control, "?"))?;
        if found.decision == Decision::Allow {
            Ok(())
        } else {
            Err(Failure::answered_no())
        }
    }
}
