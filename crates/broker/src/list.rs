//! Listing names. A listing shows what the caller may see.

use std::time::Instant;

use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::secret::Head;
use strongroom_domain::{Error, Kind, Prefix, Result, Time};

use crate::Broker;
use crate::record::{Attempt, Served};
use crate::request::Request;
use crate::rows::Checked;

/// Records read at a time: what is hidden from the caller costs reads too.
const CHUNK: u16 = 1000;

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
    /// The names below a prefix in byte order, after a cursor of an earlier page; empty: from the start.
    pub async fn list(
        &self,
        request: &Request,
        prefix: &Prefix,
        recursive: bool,
        after: &str,
        limit: u16,
    ) -> Result<ListPage> {
        self.serve(request, Action::SecretList, prefix.as_str(), |attempt| async move {
            let after = &self.open_cursor(after)?;
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
        let began = Instant::now();
        // A page that takes long to fill is given as far as it came.
        while began.elapsed() < self.0.settings.audit_deadline {
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
                let shape = Shape::of(&start, recursive, &record.name);
                let past = if shape.folder {
                    format!("{}/{}", shape.path, char::MAX)
                } else {
                    shape.path.clone()
                };
                let (folder, path) = (
                    format!("secret/{}", folder_of(&shape.path)),
                    format!("secret/{}", shape.path),
                );
                if attempt.session.shows(&folder, &path) {
                    if items.len() == usize::from(limit) {
                        return self.page(items, Some(&after));
                    }
                    items.push(shape.item(&self.check(record)?));
                }
                after = past;
            }
            if last_chunk {
                return self.page(items, None);
            }
        }
        self.page(items, Some(&after))
    }

    /// The cursor is sealed: it may be a name that the caller must not see.
    fn page(&self, items: Vec<ListItem>, after: Option<&str>) -> Result<ListPage> {
        let seal = |name| {
            let salt = self.0.entropy.bytes();
            self.0
                .ring
                .keys
                .load()
                .seal_cursor(self.0.namespace, salt, name)
                .map_err(Error::internal)
        };
        Ok(ListPage {
            items,
            next: after.map(seal).transpose()?,
        })
    }

    fn open_cursor(&self, cursor: &str) -> Result<String> {
        if cursor.is_empty() {
            return Ok(String::new());
        }
        let opened = self.0.ring.keys.load().open_cursor(self.0.namespace, cursor);
        opened.map_err(|_| Error::invalid("'cursor' is not one of ours."))
    }
}

fn folder_of(path: &str) -> &str {
    path.rfind('/').map_or("", |at| path.get(..=at).unwrap_or_default())
}

/// What a listing shows of one stored name.
struct Shape {
    name: String,
    path: String,
    folder: bool,
}

impl Shape {
    fn of(start: &str, recursive: bool, path: &str) -> Self {
        let rest = path.strip_prefix(start).unwrap_or(path);
        match rest.split_once('/') {
            Some((folder, _)) if !recursive => Self {
                name: folder.to_owned(),
                path: format!("{start}{folder}"),
                folder: true,
            },
            _ => Self {
                name: rest.to_owned(),
                path: path.to_owned(),
                folder: false,
            },
        }
    }

    fn item(self, secret: &Checked<Head>) -> ListItem {
        let own = (!self.folder).then_some(&secret.body);
        ListItem {
            name: self.name,
            path: self.path,
            folder: self.folder,
            version: own.map(Head::current),
            updated_at: own.map(|head| head.updated_at),
        }
    }
}
