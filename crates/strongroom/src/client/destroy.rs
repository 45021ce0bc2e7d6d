//! `strongroom destroy`

use strongroom_domain::SecretPath;

use super::failure::Failure;
use super::session::Session;

/// Destroy versions for good: nobody can read their values again, and nothing brings them back
#[derive(Debug, clap::Args)]
pub struct Destroy {
    /// The secret's path
    path: String,
    /// Which; there is no default
    #[arg(value_name = "VERSION", required = true)]
    versions: Vec<i64>,
}

impl Destroy {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let path = SecretPath::parse(&self.path)?;
        let changed = session.client.destroy(&path, self.versions).await?;
        session.output.show(&changed, || {
            let numbers: Vec<String> = changed.versions.iter().map(i64::to_string).collect();
            format!("Destroyed in {}: {}.", changed.path, numbers.join(", "))
        })
    }
}
