//! `strongroom explain`

use strongroom_api::explain::Explain;

use super::failure::Failure;
use super::session::Session;

/// Explain a denial by its id, as the policies are now
#[derive(Debug, clap::Args)]
pub struct ExplainDenial {
    /// The denial id that the refusal told
    denial_id: String,
}

impl ExplainDenial {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let body = Explain {
            denial_id: Some(self.denial_id),
            ..Explain::default()
        };
        let found = session.client.explain(&body).await?;
        session
            .output
            .show(&found, || found.detail.replace(char::is_control, "?"))
    }
}
