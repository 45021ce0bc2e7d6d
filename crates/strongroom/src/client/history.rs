//! `strongroom history`

use strongroom_domain::SecretPath;
use strongroom_domain::secret::State;

use super::failure::Failure;
use super::output::table;
use super::session::Session;

/// Show a secret's versions: when, by whom, in which state, under which labels
#[derive(Debug, clap::Args)]
pub struct History {
    /// Its path
    path: String,
}

impl History {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let history = session.client.history(&SecretPath::parse(&self.path)?).await?;
        session.output.show(&history, || {
            let rows = history.versions.iter().map(|version| {
                [
                    version.version.to_string(),
                    state(version.state).to_owned(),
                    version.labels.join(", "),
                    version.created_at.to_string(),
                    version.created_by.to_string(),
                    version.id.clone(),
                ]
            });
            table(["VERSION", "STATE", "LABELS", "CREATED", "CREATED BY", "ID"], rows)
        })
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Live => "live",
        State::Deleted => "deleted",
        State::Destroyed => "destroyed",
    }
}
