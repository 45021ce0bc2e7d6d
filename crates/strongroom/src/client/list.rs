//! `strongroom list`

use strongroom_api::list::{Item, ListQuery, Listing};
use strongroom_domain::Prefix;

use super::failure::Failure;
use super::output::{or_dash, table};
use super::session::Session;

/// List the secrets and folders that you may see
#[derive(Debug, clap::Args)]
pub struct List {
    /// The folder; none: the top
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
    /// All secrets below it, not folders
    #[arg(short, long)]
    recursive: bool,
}

impl List {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let query = ListQuery {
            recursive: self.recursive,
            ..ListQuery::default()
        };
        let listing = all(session, &Prefix::parse(&self.prefix)?, query).await?;
        session.output.show(&listing, || {
            let rows = listing.items.iter().map(|item| {
                let name = if item.folder {
                    format!("{}/", item.name)
                } else {
                    item.name.clone()
                };
                [name, or_dash(item.version), or_dash(item.updated_at)]
            });
            table(["NAME", "VERSION", "UPDATED"], rows)
        })
    }
}

/// A listing with all its pages.
pub(super) async fn all(session: &Session, prefix: &Prefix, mut query: ListQuery) -> Result<Listing, Failure> {
    let mut items: Vec<Item> = Vec::new();
    loop {
        let page = session.client.list(prefix, &query).await?;
        items.extend(page.items);
        if page.next_cursor.is_none() {
            return Ok(Listing {
                prefix: page.prefix,
                items,
                next_cursor: None,
            });
        }
        query.cursor = page.next_cursor;
    }
}
