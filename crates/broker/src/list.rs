//! Listing names. A listing shows what the caller may see.

use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::secret::Head;
use strongroom_domain::{Kind, Prefix, Result, Time};

use crate::Broker;
use crate::record::{Attempt, Served};
use crate::request::Request;
use crate::rows::Checked;

/// Records read at a time, and how often, for one page: what is hidden from the caller costs reads too.
const CHUNK: u16 = 1000;
const MAX_CHUNKS: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListItem {
    /// The last segment, or below a recursive listing's prefix the rest of the path.
    pub name: String,
    pub path: String,
    /// There is more below this name.
    pub folder: bool,
    /// The current version's number, where the name is a secret's.
    pub version: Option<i64>,
    pub updated_at: Option<Time>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage {
    pub items: Vec<ListItem>,
    /// Where to go on.
    pub next: Option<String>,
}

impl Broker {
    /// The names below a prefix, after `after` (a path) in byte order.
    pub async fn list(
        &self,
        request: &Request,
        prefix: &Prefix,
        recursive: bool,
        after: &str,
        limit: u16,
    ) -> Result<ListPage> {
        self.serve(request, Action::SecretList, prefix.as_str(), |attempt| async move {
            let page = self.list_now(&attempt, prefix, recursive, after, limit).await?;
            if page.items.is_empty() && page.next.is_none() {
                // Nothing to show: whoever may not list learns no more than that.
                attempt.authorise(Access::Folder(prefix))?;
            }
            Ok(Served::fresh(page))
        })
        .await
    }

    async fn list_now(
        &self,
        attempt: &Attempt,
        prefix: &Prefix,
        recursive: bool,
        after: &str,
        limit: u16,
    ) -> Result<ListPage> {
        let start = prefix.start();
        let mut after = after.to_owned();
        let mut items: Vec<ListItem> = Vec::new();
        for _ in 0..MAX_CHUNKS {
            let found = self
                .ask(
                    self.0
                        .store
                        .list(attempt.now, self.0.namespace, Kind::Secret, &start, &after, CHUNK),
                )
                .await?;
            let last_chunk = found.value.len() < usize::from(CHUNK);
            for record in found.value {
                // Below a folder that was seen already; no path holds the greatest character, which ends its range.
                if record.name.as_str() <= after.as_str() {
                    continue;
                }
                let secret: Checked<Head> = self.check(record)?;
                let item = item(&start, recursive, &secret);
                let (folder, path) = (
                    format!("secret/{}", folder_of(&item.path)),
                    format!("secret/{}", item.path),
                );
                let past = if item.folder {
                    format!("{}/{}", item.path, char::MAX)
                } else {
                    item.path.clone()
                };
                if attempt.session.shows(&folder, &path) {
                    if items.len() == usize::from(limit) {
                        return Ok(ListPage {
                            items,
                            next: Some(after),
                        });
                    }
                    items.push(item);
                }
                after = past;
            }
            if last_chunk {
                return Ok(ListPage { items, next: None });
            }
        }
        Ok(ListPage {
            items,
            next: Some(after),
        })
    }
}

fn folder_of(path: &str) -> &str {
    path.rfind('/').map_or("", |at| path.get(..=at).unwrap_or_default())
}

fn item(start: &str, recursive: bool, secret: &Checked<Head>) -> ListItem {
    let path = secret.record.name.as_str();
    let rest = path.strip_prefix(start).unwrap_or(path);
    match rest.split_once('/') {
        Some((folder, _)) if !recursive => ListItem {
            name: folder.to_owned(),
            path: format!("{start}{folder}"),
            folder: true,
            version: None,
            updated_at: None,
        },
        _ => ListItem {
            name: rest.to_owned(),
            path: path.to_owned(),
            folder: false,
            version: Some(secret.body.current()),
            updated_at: Some(secret.body.updated_at),
        },
    }
}
