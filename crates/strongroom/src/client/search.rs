//! `strongroom search`

use strongroom_api::list::ListQuery;
use strongroom_domain::Prefix;

use super::failure::Failure;
use super::list;
use super::metadata::secret_type;
use super::output::{or_dash, table};
use super::session::Session;

/// Find secrets by a part of their path or description, in upper or lower case, and by their metadata
#[derive(Debug, clap::Args)]
pub struct Search {
    /// The part; none: any
    text: Option<String>,
    /// Only below this folder
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    /// Only of this type
    #[arg(long = "type", value_name = "TYPE")]
    secret_type: Option<String>,
    /// Only with this owner
    #[arg(long)]
    owner: Option<String>,
    /// Only with this tag
    #[arg(long, value_name = "NAME:VALUE")]
    tag: Option<String>,
}

impl Search {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let query = ListQuery {
            recursive: true,
            q: self.text,
            secret_type: self.secret_type.as_deref().map(secret_type).transpose()?,
            owner: self.owner,
            tag: self.tag,
            ..ListQuery::default()
        };
        let found = list::all(session, &Prefix::parse(&self.prefix)?, query).await?;
        session.output.show(&found, || {
            let rows = found
                .items
                .iter()
                .map(|item| [item.path.clone(), or_dash(item.version), or_dash(item.updated_at)]);
            table(["PATH", "VERSION", "UPDATED"], rows)
        })
    }
}
