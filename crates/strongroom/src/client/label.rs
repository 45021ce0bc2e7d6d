//! `strongroom label`

use strongroom_api::labels::MoveLabel;
use strongroom_domain::SecretPath;

use super::failure::Failure;
use super::session::Session;

/// Move a label to a version of a secret, or take it away
///
/// `current` decides what is read where no version is named; moving it moves `previous` too.
#[derive(Debug, clap::Args)]
pub struct Label {
    /// The secret's path
    path: String,
    #[arg(value_name = "LABEL")]
    name: String,
    /// Where it goes
    #[arg(required_unless_present = "remove")]
    version: Option<i64>,
    /// Take it away
    #[arg(long, conflicts_with = "version")]
    remove: bool,
}

impl Label {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        let path = SecretPath::parse(&self.path)?;
        let Some(version) = self.version else {
            client.remove_label(&path, &self.name).await?;
            return output.done(&format!("{path} has no label {} any more.", self.name));
        };
        let body = MoveLabel {
            label: self.name,
            version,
        };
        let moved = client.move_label(&path, &body).await?;
        output.show(&moved, || {
            format!("{} of {} is version {} now.", moved.label, moved.path, moved.version)
        })
    }
}
