//! What somebody waits for, and what of it they may see.

use std::net::IpAddr;
use std::sync::Arc;

use strongroom_domain::access::Access;
use strongroom_domain::flag::FlagSetName;
use strongroom_domain::policy::Capability;
use strongroom_domain::watched::kinds;
use strongroom_domain::{Kind, Prefix, Result, Revision};

use super::Shown;
use crate::Broker;
use crate::feed::{ChangeRow, Changes};
use crate::session::Session;

/// What somebody waits for.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// A name, and all below it, as far as it may be seen.
    Names(Prefix),
    /// Any change of a set of flags, for whoever may see one of them.
    Set(FlagSetName),
}

impl Wanted {
    /// What the log says that it was about.
    pub(super) fn about(&self) -> String {
        match self {
            Self::Names(prefix) => prefix.as_str().to_owned(),
            Self::Set(set) => set.to_string(),
        }
    }

    /// Whoever may see a name below the prefix may watch it, or whoever may list there.
    pub(crate) fn may_watch(&self, session: &Session, from: Option<IpAddr>) -> Result<()> {
        let prefix = match self {
            Self::Names(prefix) => prefix,
            Self::Set(set) if session.shows_within(&format!("flag/{set}/"), &format!("flag/{set}"), from) => {
                return Ok(());
            }
            Self::Set(set) => return session.authorise(Access::FlagSet(set, Capability::Read), from),
        };
        let sees = |kind: &str| {
            let (folder, path) = (
                format!("{kind}/{}", prefix.start()),
                format!("{kind}/{}", prefix.as_str()),
            );
            session.shows_within(&folder, path.trim_end_matches('/'), from)
        };
        if kinds().any(sees) {
            Ok(())
        } else {
            session.authorise(Access::Folder(prefix), from)
        }
    }
}

/// Who watches what, as of when that was decided.
pub(super) struct Seer {
    pub(super) session: Arc<Session>,
    pub(super) from: Option<IpAddr>,
    pub(super) decided_at: Revision,
}

impl Seer {
    pub(super) fn sees(&self, broker: &Broker, wanted: &Wanted, row: &ChangeRow) -> bool {
        let key = &row.touch.key;
        key.namespace == broker.namespace()
            && match wanted {
                Wanted::Names(prefix) => row.watched.as_ref().is_some_and(|watched| {
                    let (folder, path) = (watched.policy_folder(), watched.policy_path());
                    watched.is_within(prefix) && self.session.shows(folder, path, self.from)
                }),
                Wanted::Set(set) => key.kind == Kind::FlagSet && key.name == set.to_string(),
            }
    }

    pub(super) fn shown(&self, broker: &Broker, wanted: &Wanted, changes: Changes) -> Shown {
        let rows = changes.rows().iter().enumerate();
        let seen = rows.filter(|(_, row)| self.sees(broker, wanted, row));
        Shown {
            places: seen.map(|(place, _)| place).collect(),
            changes,
            decided_at: self.decided_at,
        }
    }
}
