//! `strongroom undelete`

use strongroom_domain::SecretPath;

use super::failure::Failure;
use super::session::Session;

/// Bring deleted versions back
#[derive(Debug, clap::Args)]
pub struct Undelete {
    /// Its path
    pub(super) path: String,
    /// Which; none: the current one
    #[arg(value_name = "VERSION")]
    pub(super) versions: Vec<i64>,
}

impl Undelete {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let path = SecretPath::parse(&self.path)?;
        let mut versions = self.versions;
        if versions.is_empty() {
            match session.client.history(&path).await?.current {
                0 => {
                    return Err(Failure::not_found(format!(
                        "{path} has no current version; name the version."
                    )));
                }
                current => versions.push(current),
            }
        }
        let changed = session.client.undelete(&path, versions).await?;
        session.output.show(&changed, || {
            let numbers: Vec<String> = changed.versions.iter().map(i64::to_string).collect();
            format!("Live again in {}: {}.", changed.path, numbers.join(", "))
        })
    }
}
