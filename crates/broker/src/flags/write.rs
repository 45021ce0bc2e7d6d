//! What every write of flags does, one or many.

use serde_json::Value;
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::flag::{Flag, FlagAbout, FlagKey, FlagPath, FlagSet, FlagSetName, KEPT_VERSIONS, NewFlag};
use strongroom_domain::policy::Capability;
use strongroom_domain::{Code, Error, Kind, Result, Row, Touch, Write};
use strongroom_flags::{Bucketing, Definition, Evaluators, Mistake, parse_flagd};

use super::{FlagView, SetRules};
use crate::Broker;
use crate::change::{Asked, Decided, Decision};
use crate::record::{Attempt, Effect};
use crate::request::Request;
use crate::rows::{Checked, remove, touch};

/// Flags of one project's environment.
const MAX_FLAGS: usize = 2000;
/// Flags of one change.
const MAX_AT_ONCE: usize = 500;
/// Mistakes of one document that are told.
const MAX_TOLD: usize = 20;
/// What flags share, in flagd's document.
const SHARED: [&str; 2] = ["$evaluators", "metadata"];

/// Which flags are copied from another set; none: all.
#[derive(Debug, Clone)]
pub struct CopyFlags {
    pub from: FlagSetName,
    pub keys: Option<Vec<FlagKey>>,
    /// Whether those that are there already are written.
    pub overwrite: bool,
}

/// A flag among many that are written at once.
struct Incoming {
    key: FlagKey,
    definition: Value,
    /// Bucketing, and what people say about it; none: as it is there, or as a new one has it.
    said: Option<(u8, FlagAbout)>,
}

/// A change of a set's flags in the making.
pub(crate) struct Writing {
    pub(super) action: Action,
    pub(super) set: Option<Checked<FlagSet>>,
    pub(crate) evaluators: Evaluators,
    pub(crate) writes: Vec<Write>,
    pub(crate) touches: Vec<Touch>,
    pub(crate) effects: Vec<Effect>,
}

impl Writing {
    pub(crate) fn decided<T>(self, answer: T) -> Decided<T> {
        if self.effects.is_empty() {
            return Decided::Nothing(answer);
        }
        Decided::Write(Decision {
            fresh: Vec::new(),
            writes: self.writes,
            touches: self.touches,
            effects: self.effects,
            answer,
        })
    }
}

pub(crate) fn mistaken(of: &str, mistake: &Mistake) -> Error {
    Error::invalid(format!("{of}{mistake}"))
}

impl Broker {
    pub(crate) async fn stored_flag(&self, path: &FlagPath) -> Result<Option<Checked<Flag>>> {
        Ok(self.load::<Flag>(Kind::Flag, &path.to_string()).await?.value)
    }

    /// Oldest first.
    pub(crate) async fn versions_of(&self, path: &FlagPath) -> Result<Vec<Checked<Flag>>> {
        let (now, start) = (self.0.clock.now(), format!("{path}/"));
        let found = self
            .0
            .store
            .list(now, self.namespace(), Kind::FlagVersion, &start, "", 1000);
        let found = self.ask(found).await?.value;
        found.into_iter().map(|row| self.check(row)).collect()
    }

    pub(crate) async fn begin_writing(&self, set: &FlagSetName, action: Action) -> Result<Writing> {
        let set = self.load::<FlagSet>(Kind::FlagSet, &set.to_string()).await?.value;
        let evaluators = match &set {
            Some(set) => Evaluators::parse(&set.body.evaluators.clone().into())
                .map_err(|mistake| Error::internal(mistake.why))?,
            None => Evaluators::default(),
        };
        Ok(Writing {
            action,
            set,
            evaluators,
            writes: Vec::new(),
            touches: Vec::new(),
            effects: Vec::new(),
        })
    }

    /// Adds what it takes for the flag to be as `new` says.
    pub(crate) async fn write_flag(
        &self,
        change: &mut Writing,
        attempt: &Attempt,
        path: &FlagPath,
        old: Option<Checked<Flag>>,
        new: &NewFlag,
    ) -> Result<FlagView> {
        Definition::parse(&new.definition, &change.evaluators).map_err(|mistake| mistaken("'definition'", &mistake))?;
        if Bucketing::from_number(new.bucketing).is_none() {
            return Err(Error::invalid("'bucketing_version' is 2: there is no other yet."));
        }
        let name = path.to_string();
        let flag = Flag::written(
            old.as_ref().map(|old| &old.body),
            new,
            attempt.session.principal,
            attempt.now,
        );
        let view = FlagView {
            key: path.key.to_string(),
            flag: flag.clone(),
        };
        if old.as_ref().is_some_and(|old| old.body.version == flag.version) {
            return Ok(view);
        }
        if old.is_none() && self.compiled(&path.set).await?.ids.len() >= MAX_FLAGS {
            return Err(Error::new(
                Code::LimitReached,
                format!("A project's environment has at most {MAX_FLAGS} flags."),
            ));
        }
        let old = old.map(|old| old.record);
        let (record, write) = self.upsert(old.as_ref(), Kind::Flag, &name, &flag)?;
        let version = path.version(flag.version);
        let kept = self.new_record(Kind::FlagVersion, self.new_id(), &version, None, &flag)?;
        change.writes.extend([write, Write::Insert(Row::Record(kept))]);
        let forgotten = flag.version - KEPT_VERSIONS;
        if forgotten >= 1 {
            let row = self
                .load::<Flag>(Kind::FlagVersion, &path.version(forgotten))
                .await?
                .value;
            change.writes.extend(row.map(|row| remove(&row.record)));
        }
        self.touch_set(change, &path.set, attempt)?;
        change
            .touches
            .push(touch(record.key(), change.action, Some(flag.version)));
        change.effects.push(Effect {
            version: Some(flag.version),
            digest: Some(record.digest()),
            ..Effect::new(change.action, name)
        });
        Ok(view)
    }

    /// Once a change: the set is there where there is a flag, and whoever has it compiled forgets it.
    fn touch_set(&self, change: &mut Writing, name: &FlagSetName, attempt: &Attempt) -> Result<()> {
        let key = self.set_key(name);
        if change.touches.iter().any(|touch| touch.key == key) {
            return Ok(());
        }
        if change.set.is_none() {
            let body = FlagSet::new(attempt.now);
            let (_, write) = self.upsert(None, Kind::FlagSet, &key.name, &body)?;
            change.writes.push(write);
        }
        change.touches.push(touch(key, change.action, None));
        Ok(())
    }

    /// Writes the flags of flagd's document, and what they share where it says so, or nothing. What people said about a flag
    /// that is there stays as it is, and so do flags that it does not name. Gives the keys that were changed.
    pub async fn import_flags(&self, request: &Request, set: &FlagSetName, document: &Value) -> Result<Vec<String>> {
        let fingerprint = serde_json::to_vec(document).map_err(Error::internal)?;
        let asked = self.asked_of_set(request, set, Action::FlagImport, &fingerprint);
        self.change(request, asked, |attempt| async move {
            let mut change = self.begin_writing(set, Action::FlagImport).await?;
            let shares = SHARED.iter().any(|name| document.get(name).is_some());
            let mut whole = document.clone();
            if let Some(members) = whole.as_object_mut() {
                let metadata = change.set.as_ref().map(|set| set.body.metadata.clone());
                let there = [change.evaluators.to_json(), metadata.unwrap_or_default().into()];
                // What it does not name stays.
                for (name, there) in SHARED.into_iter().zip(there) {
                    members.entry(name).or_insert(there);
                }
            }
            let imported = parse_flagd(&whole).map_err(|mistakes| all_mistaken(&mistakes))?;
            check_amount(imported.flags.len())?;
            if shares {
                let rules = SetRules {
                    evaluators: imported.evaluators.to_json().as_object().cloned().unwrap_or_default(),
                    metadata: imported.metadata,
                    cas: None,
                };
                self.write_rules(&mut change, &attempt, set, &rules)?;
            }
            let mut flags = Vec::new();
            for (key, definition) in imported.flags {
                flags.push(Incoming {
                    key: FlagKey::parse(&key)?,
                    definition: definition.to_json(),
                    said: None,
                });
            }
            let keys = self.write_flags(&mut change, &attempt, set, &flags, true).await?;
            if shares {
                self.check_all(set, &change.evaluators, &keys).await?;
            }
            Ok(change.decided(keys))
        })
        .await
    }

    /// Copies flags of another set. Gives the keys that were changed.
    pub async fn copy_flags(&self, request: &Request, set: &FlagSetName, copy: &CopyFlags) -> Result<Vec<String>> {
        let said = (copy.from.to_string(), &copy.keys, copy.overwrite);
        let said = serde_json::to_vec(&said).map_err(Error::internal)?;
        let asked = self.asked_of_set(request, set, Action::FlagCopy, &said);
        self.change(request, asked, |attempt| async move {
            // Whoever may not read a flag does not learn whether it is there.
            for key in copy.keys.iter().flatten() {
                let path = FlagPath {
                    set: copy.from.clone(),
                    key: key.clone(),
                };
                attempt.authorise(Access::Flag(&path, Capability::Read))?;
            }
            let mut flags = Vec::new();
            for found in self.flags_of(&copy.from).await? {
                let path = FlagPath::parse(&found.record.name)?;
                let named = copy.keys.as_ref().is_none_or(|keys| keys.contains(&path.key));
                if named && attempt.authorise(Access::Flag(&path, Capability::Read)).is_ok() {
                    flags.push(Incoming {
                        key: path.key,
                        definition: found.body.definition,
                        said: Some((found.body.bucketing, found.body.about)),
                    });
                }
            }
            if let Some(missing) = copy
                .keys
                .iter()
                .flatten()
                .find(|key| flags.iter().all(|found| found.key != **key))
            {
                return Err(Error::new(
                    Code::NotFound,
                    format!("There is no flag '{missing}' in '{}'.", copy.from),
                ));
            }
            if flags.is_empty() {
                attempt.authorise(Access::FlagSet(&copy.from, Capability::Read))?;
            }
            check_amount(flags.len())?;
            let mut change = self.begin_writing(set, Action::FlagCopy).await?;
            let keys = self
                .write_flags(&mut change, &attempt, set, &flags, copy.overwrite)
                .await?;
            Ok(change.decided(keys))
        })
        .await
    }

    async fn write_flags(
        &self,
        change: &mut Writing,
        attempt: &Attempt,
        set: &FlagSetName,
        flags: &[Incoming],
        overwrite: bool,
    ) -> Result<Vec<String>> {
        let paths: Vec<FlagPath> = flags
            .iter()
            .map(|flag| FlagPath {
                set: set.clone(),
                key: flag.key.clone(),
            })
            .collect();
        let keys: Vec<_> = paths
            .iter()
            .map(|path| self.key(Kind::Flag, path.to_string()))
            .collect();
        let found = self.load_keys::<Flag>(&keys).await?.value;
        let mut changed = Vec::new();
        for (path, incoming) in paths.iter().zip(flags) {
            let old = found.iter().find(|old| old.record.name == path.to_string()).cloned();
            if old.is_some() && !overwrite {
                continue;
            }
            let capability = if old.is_some() {
                Capability::Update
            } else {
                Capability::Create
            };
            attempt.authorise(Access::Flag(path, capability))?;
            let there = old.as_ref().map(|old| (old.body.bucketing, old.body.about.clone()));
            let said = incoming.said.clone().or(there);
            let (bucketing, about) = said.unwrap_or((Bucketing::default().number(), FlagAbout::default()));
            let new = NewFlag {
                definition: incoming.definition.clone(),
                bucketing,
                about,
            };
            let before = change.effects.len();
            self.write_flag(change, attempt, path, old, &new)
                .await
                .map_err(|error| of_flag(&path.key, error))?;
            if change.effects.len() > before {
                changed.push(path.key.to_string());
            }
        }
        Ok(changed)
    }

    pub(crate) fn asked_of_set<'a>(
        &self,
        request: &Request,
        set: &'a FlagSetName,
        action: Action,
        fingerprint: &[u8],
    ) -> Asked<'a> {
        Asked {
            action,
            path: set.to_string(),
            locks: Vec::new(),
            id: self.change_id(request),
            fingerprint: Canon::new(action.name())
                .text(&set.to_string())
                .bytes(fingerprint)
                .done()
                .into(),
            // Which flags are written is known later, and each is decided by itself as well.
            needs: vec![vec![Access::FlagSet(set, Capability::Update)]],
        }
    }
}

pub(crate) fn all_mistaken(mistakes: &[Mistake]) -> Error {
    let told: Vec<String> = mistakes.iter().take(MAX_TOLD).map(ToString::to_string).collect();
    Error::invalid(told.join("\n"))
}

fn of_flag(key: &FlagKey, error: Error) -> Error {
    let detail = format!("Flag '{key}': {}", error.detail);
    Error { detail, ..error }
}

fn check_amount(flags: usize) -> Result<()> {
    if flags > MAX_AT_ONCE {
        return Err(Error::invalid(format!(
            "One change writes at most {MAX_AT_ONCE} flags: send them in parts."
        )));
    }
    Ok(())
}
