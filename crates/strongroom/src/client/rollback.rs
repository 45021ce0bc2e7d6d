//! `strongroom rollback`

use strongroom_api::With;
use strongroom_api::batch::BatchWriteOptions;
use strongroom_api::secrets::ReadQuery;
use strongroom_domain::SecretPath;

use super::failure::Failure;
use super::session::{Session, write_all};

/// Write the value of an earlier version as a new one
///
/// The history stays as it is, and grows. Where the current value is that one already, nothing is written.
#[derive(Debug, clap::Args)]
pub struct Rollback {
    /// The secret's path
    path: String,
    /// The version whose value comes back
    #[arg(long, value_name = "N")]
    to: i64,
    /// Write only if this is the current version
    #[arg(long, value_name = "N")]
    cas: Option<i64>,
}

impl Rollback {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let path = SecretPath::parse(&self.path)?;
        let query = ReadQuery {
            version: Some(self.to),
            label: None,
            ..ReadQuery::default()
        };
        let earlier = session.client.read(&path, &query).await?;
        let options = BatchWriteOptions {
            path: path.to_string(),
            cas: self.cas,
            unless_same: true,
            ..BatchWriteOptions::default()
        };
        let write = With {
            payload: earlier.payload,
            fields: options,
        };
        // A batch of one: only a batch can be asked to write nothing where nothing would change.
        for written in write_all(session, vec![write], false).await? {
            session.output.show(&written, || {
                let (path, version, to) = (&written.path, written.version, self.to);
                if written.unchanged {
                    format!("{path} has the value of version {to} already, at version {version}.")
                } else {
                    format!("{path} is at version {version} now, with the value of version {to}.")
                }
            })?;
        }
        Ok(())
    }
}
