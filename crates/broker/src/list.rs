//! Listing names. A listing shows what the caller may see.

use std::time::Instant;

use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::metadata::{Metadata, SecretType};
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

/// What a listing is asked for.
#[derive(Debug, Clone)]
pub struct Listing {
    pub prefix: Prefix,
    pub recursive: bool,
    pub filter: ListFilter,
    /// The cursor of an earlier page; empty: from the start.
    pub after: String,
    pub limit: u16,
}

/// Which secrets to show; with any condition, no folders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Text within the path or the description, in any case.
    pub text: Option<String>,
    pub secret_type: Option<SecretType>,
    pub owner: Option<String>,
    pub tag: Option<(String, String)>,
}

impl ListFilter {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn matches(&self, path: &str, metadata: &Metadata) -> bool {
        let holds = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        let described = |part: &str| metadata.description.as_deref().is_some_and(|text| holds(text, part));
        self.text
            .as_deref()
            .is_none_or(|part| holds(path, part) || described(part))
            && self.secret_type.is_none_or(|kind| metadata.secret_type == kind)
            && (self.owner.is_none() || metadata.owner == self.owner)
            && self
                .tag
                .as_ref()
                .is_none_or(|(key, value)| metadata.tags.get(key) == Some(value))
    }
}

/// Whether a listing shows this secret's name to whoever asks.
pub(crate) fn shown_to(attempt: &Attempt, path: &str) -> bool {
    attempt.shows(&format!("secret/{}", folder_of(path)), &format!("secret/{path}"))
}

impl Broker {
    /// The names below a prefix in byte order.
    pub async fn list(&self, request: &Request, asked: &Listing) -> Result<ListPage> {
        self.serve(
            request,
            Action::SecretList,
            asked.prefix.as_str(),
            |attempt| async move {
                let after = self.open_cursor(&asked.after)?;
                let is_first = after.is_empty();
                let page = self.list_now(&attempt, asked, after).await?;
                if is_first && page.items.is_empty() && page.next.is_none() {
                    // Nothing to show: whoever may not list learns no more than that.
                    attempt.authorise(Access::Folder(&asked.prefix))?;
                }
                Ok(Served::fresh(page))
            },
        )
        .await
    }

    async fn list_now(&self, attempt: &Attempt, asked: &Listing, mut after: String) -> Result<ListPage> {
        let start = asked.prefix.start();
        let mut items: Vec<ListItem> = Vec::new();
        let began = Instant::now();
        // A page that takes long to fill is given as far as it came.
        while began.elapsed() < self.0.settings.audit_deadline {
            let found = self
                .ask(
                    self.0
                        .store
                        .list(attempt.now, self.namespace(), Kind::Secret, &start, &after, CHUNK),
                )
                .await?;
            let last_chunk = found.value.len() < usize::from(CHUNK);
            for record in found.value {
                // Below a folder that was seen already; no path holds the greatest character, which ends its range.
                if record.name.as_str() <= after.as_str() {
                    continue;
                }
                let shape = Shape::of(&start, asked.recursive, &record.name);
                let past = if shape.folder {
                    format!("{}/{}", shape.path, char::MAX)
                } else {
                    shape.path.clone()
                };
                let wanted = !shape.folder || asked.filter.is_empty();
                if wanted && shown_to(attempt, &shape.path) {
                    if items.len() == usize::from(asked.limit) {
                        return self.page(items, Some(&after));
                    }
                    let secret = self.check::<Head>(record)?;
                    if shape.folder || asked.filter.matches(&shape.path, &secret.body.metadata) {
                        items.push(shape.item(&secret));
                    }
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
        let next = after.map(|after| self.seal_cursor(after)).transpose()?;
        Ok(ListPage { items, next })
    }

    pub(crate) fn seal_cursor(&self, after: &str) -> Result<String> {
        let (keys, salt) = (self.0.ring.keys.load(), self.0.entropy.bytes());
        keys.seal_cursor(self.namespace(), salt, after).map_err(Error::internal)
    }

    pub(crate) fn open_cursor(&self, cursor: &str) -> Result<String> {
        if cursor.is_empty() {
            return Ok(String::new());
        }
        let opened = self.0.ring.keys.load().open_cursor(self.namespace(), cursor);
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
