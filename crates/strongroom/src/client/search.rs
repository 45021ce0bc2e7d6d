//! `strongroom search`

use strongroom_api::list::Listing;
use strongroom_domain::Prefix;

use super::failure::Failure;
use super::list;
use super::output::{or_dash, table};
use super::session::Session;

/// Find secrets by a part of their path, in upper or lower case
#[derive(Debug, clap::Args)]
pub struct Search {
    query: String,
    /// Only below this folder
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
}

impl Search {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let found = find(session, &Prefix::parse(&self.prefix)?, &self.query).await?;
        session.output.show(&found, || {
            let rows = found
                .items
                .iter()
                .map(|item| [item.path.clone(), or_dash(item.version), or_dash(item.updated_at)]);
            table(["PATH", "VERSION", "UPDATED"], rows)
        })
    }
}

/// What is below the folder and matches. The server lists all of it: the API has no search of its own.
async fn find(session: &Session, prefix: &Prefix, query: &str) -> Result<Listing, Failure> {
    let mut listing = list::all(session, prefix, true).await?;
    let query = query.to_lowercase();
    listing.items.retain(|item| item.path.to_lowercase().contains(&query));
    Ok(listing)
}
