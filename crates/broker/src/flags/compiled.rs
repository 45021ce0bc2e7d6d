//! Sets of flags as evaluations see them: compiled once, and forgotten with the next change of one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use strongroom_domain::flag::{Flag, FlagSet, FlagSetName};
use strongroom_domain::row::Key;
use strongroom_domain::{Kind, ObjectId, Record, Result, Revision, Touch};
use strongroom_flags::{Bucketing, Definition, Evaluators, Failure, FailureCode, Set};

use super::counts::Tally;
use crate::Broker;
use crate::grants::oldest;
use crate::rows::Checked;

/// All compiled sets of a node together: their definitions' bytes, of which the compiled form is a small multiple.
const MAX_BYTES: u64 = 64 << 20;
/// Rows asked for at once.
const CHUNK: u16 = 1000;

pub(crate) struct Compiled {
    pub(crate) set: Set,
    /// Flags whose rows fail their check, or whose definitions this program cannot read, and why. The others are evaluated.
    pub(crate) broken: BTreeMap<String, Failure>,
    /// The rows, by key.
    pub(crate) ids: HashMap<String, ObjectId>,
    bytes: u64,
    /// What its evaluations gave.
    pub(crate) tally: Arc<Tally>,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Arc<Compiled>> for Bytes {
    fn weight(&self, key: &Key, compiled: &Arc<Compiled>) -> u64 {
        key.name.len() as u64 + compiled.bytes + 512
    }
}

pub(crate) struct CompiledSets(Cache<Key, Arc<Compiled>, Bytes>);

impl Default for CompiledSets {
    fn default() -> Self {
        Self(Cache::with_weighter(1024, MAX_BYTES, Bytes))
    }
}

impl CompiledSets {
    pub(crate) fn get(&self, set: &Key) -> Option<Arc<Compiled>> {
        self.0.get(set)
    }

    pub(crate) fn keep(&self, set: Key, compiled: Arc<Compiled>) {
        self.0.insert(set, compiled);
    }

    /// Each change of a flag touches its set.
    pub(crate) fn void(&self, touch: &Touch) {
        if touch.key.kind == Kind::FlagSet {
            self.0.remove(&touch.key);
        }
    }

    pub(crate) fn clear(&self) {
        self.0.clear();
    }
}

impl Broker {
    pub(crate) fn set_key(&self, set: &FlagSetName) -> Key {
        self.key(Kind::FlagSet, set.to_string())
    }

    /// The flags of a project's environment; none where there is no such.
    pub(crate) async fn compiled(&self, set: &FlagSetName) -> Result<Arc<Compiled>> {
        let key = self.set_key(set);
        if let Some(compiled) = self.0.node.flag_sets().get(&key) {
            return Ok(compiled);
        }
        // After a change all who ask come here: one reads for them.
        let _turn = Box::pin(self.0.locks.hold(vec![key.clone()])).await;
        if let Some(compiled) = self.0.node.flag_sets().get(&key) {
            return Ok(compiled);
        }
        let (compiled, read_at) = Box::pin(self.compile(set)).await?;
        let compiled = Arc::new(compiled);
        self.0.node.keep_flag_set(key, compiled.clone(), read_at);
        Ok(compiled)
    }

    async fn compile(&self, name: &FlagSetName) -> Result<(Compiled, Revision)> {
        let set = self.load::<FlagSet>(Kind::FlagSet, &name.to_string()).await?;
        let (flags, read_at) = self.flag_rows(name).await?;
        let read_at = oldest([set.revision, read_at]);
        let body = set.value.map(|set| set.body);
        let (rules, metadata) = body.map(|set| (set.evaluators, set.metadata)).unwrap_or_default();
        let evaluators = Evaluators::parse(&rules.into()).unwrap_or_default();
        let start = name.start().len();
        let mut compiled = Compiled {
            set: Set::default(),
            broken: BTreeMap::new(),
            ids: HashMap::new(),
            bytes: 0,
            tally: Tally::of(self.set_key(name), &self.0.counts),
        };
        let mut whole = Vec::new();
        for record in flags {
            let key = record.name[start..].to_owned();
            compiled.bytes += record.body.len() as u64;
            compiled.ids.insert(key.clone(), record.id);
            let flag = self.check::<Flag>(record).map_err(|_| unreadable());
            match flag.and_then(|flag| readable(&flag.body, &evaluators)) {
                Ok((definition, bucketing)) => whole.push((key, definition, bucketing)),
                Err(failure) => drop(compiled.broken.insert(key, failure)),
            }
        }
        compiled.set = Set::compile(whole, &evaluators, metadata);
        Ok((compiled, read_at))
    }

    /// The rows of a set's flags by key, unchecked.
    async fn flag_rows(&self, set: &FlagSetName) -> Result<(Vec<Record>, Revision)> {
        let (start, mut after) = (set.start(), String::new());
        let (mut rows, mut read_at) = (Vec::new(), Revision(i64::MAX));
        loop {
            let now = self.0.clock.now();
            let page = self
                .0
                .store
                .list(now, self.namespace(), Kind::Flag, &start, &after, CHUNK);
            let page = self.ask(page).await?;
            read_at = oldest([read_at, page.revision]);
            let (is_last, last) = (page.value.len() < usize::from(CHUNK), page.value.last());
            after = last.map_or(String::new(), |last| last.name.clone());
            let of_it = |row: &Record| row.kind == Kind::Flag && row.name.starts_with(&start);
            rows.extend(page.value.into_iter().filter(of_it));
            if is_last {
                return Ok((rows, read_at));
            }
        }
    }

    /// The same, each checked.
    pub(crate) async fn flags_of(&self, set: &FlagSetName) -> Result<Vec<Checked<Flag>>> {
        let (rows, _) = self.flag_rows(set).await?;
        rows.into_iter().map(|row| self.check(row)).collect()
    }
}

fn unreadable() -> Failure {
    Failure {
        code: FailureCode::General,
        details: "the stored definition cannot be read".into(),
    }
}

fn readable(flag: &Flag, evaluators: &Evaluators) -> Result<(Definition, Bucketing), Failure> {
    let definition = Definition::parse(&flag.definition, evaluators).map_err(|mistake| Failure {
        code: FailureCode::ParseError,
        details: mistake.to_string(),
    })?;
    let bucketing = Bucketing::from_number(flag.bucketing).ok_or_else(unreadable)?;
    Ok((definition, bucketing))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use strongroom_domain::flag::{FlagAbout, NewFlag};
    use strongroom_domain::{PrincipalId, Time};

    use super::*;

    #[test]
    fn what_does_not_compile_any_more_is_told_with_its_place() {
        let new = NewFlag {
            definition: json!({
                "state": "ENABLED", "variants": { "on": true }, "targeting": { "if": [{ "$ref": "staff" }, "on", null] },
            }),
            bucketing: 2,
            about: FlagAbout::default(),
        };
        let mut flag = Flag::written(None, &new, PrincipalId([1; 16]), Time(1));
        let rules = Evaluators::parse(&json!({ "staff": { "var": "staff" } })).unwrap();
        assert!(readable(&flag, &rules).is_ok());
        let failure = readable(&flag, &Evaluators::default()).unwrap_err();
        assert_eq!(failure.code, FailureCode::ParseError);
        assert!(failure.details.starts_with("/targeting/if/0"), "{}", failure.details);
        flag.bucketing = 9;
        let failure = readable(&flag, &rules).unwrap_err();
        assert_eq!(failure, unreadable());
    }
}
