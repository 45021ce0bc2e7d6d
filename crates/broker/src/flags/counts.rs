//! How often flags were evaluated, by variant and minute: counted in memory, written each minute by every node as rows of its own,
//! and kept for a week. What a node that dies had not written is lost.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::flag::{COUNTS_KEPT, Flag, FlagCount, FlagCounts, FlagPath};
use strongroom_domain::policy::Capability;
use strongroom_domain::row::Key;
use strongroom_domain::{Error, Kind, ObjectId, Record, Result, Time};
use strongroom_ports::Upkeep;

use super::used::Used;
use crate::Broker;
use crate::policies::absent;
use crate::record::Served;
use crate::request::Request;

/// Flags and variants of one row: some 20 kB.
const OF_A_ROW: usize = 200;
/// Rows of one write.
const WRITTEN_AT_ONCE: usize = 10;
/// Rows that wait for a database which takes none; more are let go, oldest first.
const MAX_WAITING: usize = 2_000;
/// Rows read at once.
const CHUNK: u16 = 50;
/// Tallies of one page, and more than it has.
const MOST: usize = 1_000;
const USUAL: Duration = Duration::from_hours(1);

/// Of one flag, by variant.
type Given = BTreeMap<(ObjectId, Option<String>), FlagCount>;

/// What was counted and is not written yet.
#[derive(Default)]
pub(crate) struct Tallies {
    of_sets: Mutex<Vec<Weak<Tally>>>,
    /// By set and minute.
    taken: Mutex<BTreeMap<(Key, Time), Given>>,
    waiting: Mutex<VecDeque<Record>>,
}

/// What evaluations of one compiled set gave. It hands on what it holds when the set is let go.
pub(crate) struct Tally {
    set: Key,
    counts: Arc<Tallies>,
    seen: Mutex<HashMap<u64, Seen>>,
}

struct Seen {
    flag: ObjectId,
    variant: Option<String>,
    in_bulk: bool,
    minute: Time,
    count: u64,
}

impl Tally {
    pub(crate) fn of(set: Key, counts: &Arc<Tallies>) -> Arc<Self> {
        let tally = Arc::new(Self {
            set,
            counts: counts.clone(),
            seen: Mutex::default(),
        });
        let mut tallies = counts.of_sets.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.retain(|tally| tally.strong_count() > 0);
        tallies.push(Arc::downgrade(&tally));
        drop(tallies);
        tally
    }

    /// Tallies an evaluation; the flag's row where it is the first of its minute that gave this.
    pub(crate) fn first(&self, used: &Used<'_>, ids: &HashMap<String, ObjectId>, now: Time) -> Option<ObjectId> {
        let mut hasher = DefaultHasher::new();
        used.hash(&mut hasher);
        let (hash, minute) = (hasher.finish(), now.minute());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = seen.get_mut(&hash) {
            if seen.minute == minute {
                seen.count += 1;
                return None;
            }
            self.counts.take(&self.set, seen);
            (seen.minute, seen.count) = (minute, 1);
            return Some(seen.flag);
        }
        let flag = *ids.get(used.key)?;
        let first = Seen {
            flag,
            variant: used.variant.map(str::to_owned),
            in_bulk: used.in_bulk,
            minute,
            count: 1,
        };
        seen.insert(hash, first);
        Some(flag)
    }

    fn hand_on(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for seen in seen.values_mut() {
            self.counts.take(&self.set, seen);
            seen.count = 0;
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.hand_on();
    }
}

impl Tallies {
    fn take(&self, set: &Key, seen: &Seen) {
        if seen.count == 0 {
            return;
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let given = taken.entry((set.clone(), seen.minute)).or_default();
        let key = (seen.flag, seen.variant.clone());
        let count = given.entry(key).or_insert_with(|| FlagCount {
            flag: seen.flag,
            variant: seen.variant.clone(),
            evaluations: 0,
            in_bulk: 0,
        });
        let count = if seen.in_bulk {
            &mut count.in_bulk
        } else {
            &mut count.evaluations
        };
        *count += seen.count;
    }

    fn all_taken(&self) -> BTreeMap<(Key, Time), Given> {
        let tallies: Vec<_> = {
            let tallies = self.of_sets.lock().unwrap_or_else(PoisonError::into_inner);
            tallies.iter().filter_map(Weak::upgrade).collect()
        };
        for tally in tallies {
            tally.hand_on();
        }
        std::mem::take(&mut *self.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn wait(&self, rows: impl IntoIterator<Item = Record>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(rows);
        let over = waiting.len().saturating_sub(MAX_WAITING);
        waiting.drain(..over);
    }

    fn next(&self) -> Vec<Record> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let most = waiting.len().min(WRITTEN_AT_ONCE);
        waiting.drain(..most).collect()
    }
}

/// Of which minutes counts are wanted.
#[derive(Debug, Clone, Default)]
pub struct CountsAsked {
    /// None: an hour before `until`.
    pub since: Option<Time>,
    /// None: now.
    pub until: Option<Time>,
    /// The cursor of an earlier page; empty: from the start.
    pub after: String,
    pub limit: u16,
}

/// How often a variant was given within a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantCount {
    pub minute: Time,
    /// None: the caller's own default.
    pub variant: Option<String>,
    pub evaluations: u64,
    pub in_bulk: u64,
}

/// Where a page begins: a minute, and how many of it earlier pages showed.
fn place(text: &str, since: Time) -> Result<(Time, usize)> {
    if text.is_empty() {
        return Ok((since.minute(), 0));
    }
    let parse = || {
        let (minute, shown) = text.split_once(' ')?;
        Some((Time(minute.parse().ok()?), shown.parse().ok()?))
    };
    parse().ok_or_else(|| Error::invalid("'cursor' is not one of this listing's."))
}

type Found = BTreeMap<(Time, Option<String>), (u64, u64)>;

impl Broker {
    /// Writes what was counted; where that fails it is tried again with the next.
    pub(crate) async fn write_counts(&self) {
        let counts = &self.0.counts;
        for ((set, minute), given) in counts.all_taken() {
            let (given, room): (Vec<_>, _) = (given.into_values().collect(), self.within(set.namespace));
            counts.wait(given.chunks(OF_A_ROW).filter_map(|counts| {
                let counts = counts.to_vec();
                let (id, body) = (self.new_id(), FlagCounts { minute, counts });
                let name = format!("{}{id}", FlagCounts::start(&set.name, minute));
                let due = Some(minute + COUNTS_KEPT);
                room.new_record(Kind::FlagCounts, id, &name, due, &body).ok()
            }));
        }
        loop {
            let rows = counts.next();
            if rows.is_empty() {
                return;
            }
            let work = Upkeep::Counted(rows.clone());
            if let Err(error) = self.ask(self.0.store.upkeep(self.0.clock.now(), work)).await {
                tracing::warn!(?error, "how often flags were evaluated was not written down yet");
                counts.wait(rows);
                return;
            }
        }
    }

    /// How often a flag gave what, minute by minute, as far as nodes have written it.
    pub async fn flag_counts(
        &self,
        request: &Request,
        path: &FlagPath,
        asked: &CountsAsked,
    ) -> Result<(Vec<VariantCount>, Option<String>)> {
        let name = path.to_string();
        let noun = super::noun(path, &name, Action::FlagCountsRead, Capability::Read);
        self.serve(request, noun.action, noun.name, |attempt| async move {
            attempt.authorise(Access::Flag(path, Capability::Read))?;
            let flag = self.load::<Flag>(Kind::Flag, noun.name).await?.value;
            let flag = flag.ok_or_else(|| absent(noun))?.record.id;
            let until = asked.until.unwrap_or(attempt.now);
            let since = asked.since.unwrap_or(until - USUAL);
            let (from, shown) = place(&self.open_cursor(&asked.after)?, since)?;
            let (found, unread) = self.counts_of(&path.set.to_string(), flag, from, until).await?;
            let mut counts = found.into_iter().skip(shown);
            let page: Vec<VariantCount> = counts
                .by_ref()
                .take(asked.limit.into())
                .map(|((minute, variant), (evaluations, in_bulk))| VariantCount {
                    minute,
                    variant,
                    evaluations,
                    in_bulk,
                })
                .collect();
            let next = match counts.next() {
                Some(((minute, _), _)) => {
                    let of_it = page.iter().filter(|count| count.minute == minute).count();
                    let before = if minute == from { shown } else { 0 };
                    Some((minute, before + of_it))
                }
                None => unread.map(|minute| (minute, 0)),
            };
            let next = next.map(|(minute, shown)| self.seal_cursor(&format!("{} {shown}", minute.0)));
            Ok(Served::fresh((page, next.transpose()?)))
        })
        .await
    }

    /// Of whole minutes; where reading takes long, as far as it came, and the minute that is next.
    async fn counts_of(&self, set: &str, flag: ObjectId, from: Time, until: Time) -> Result<(Found, Option<Time>)> {
        let (mut found, began, start) = (Found::new(), Instant::now(), format!("{set}/"));
        let mut after = FlagCounts::start(set, from);
        loop {
            let now = self.0.clock.now();
            let page = self
                .0
                .store
                .list(now, self.namespace(), Kind::FlagCounts, &start, &after, CHUNK);
            let page = self.ask(page).await?.value;
            let is_last = page.len() < usize::from(CHUNK);
            let mut reached = from;
            for record in page {
                after.clone_from(&record.name);
                let FlagCounts { minute, counts } = self.check::<FlagCounts>(record)?.body;
                if minute > until {
                    return Ok((found, None));
                }
                reached = minute;
                for count in counts.into_iter().filter(|count| count.flag == flag) {
                    let sum = found.entry((minute, count.variant)).or_default();
                    *sum = (sum.0 + count.evaluations, sum.1 + count.in_bulk);
                }
            }
            if is_last {
                return Ok((found, None));
            }
            let long = began.elapsed() >= self.0.settings.audit_deadline || found.len() > MOST;
            if long && reached > from {
                found.retain(|(minute, _), _| *minute < reached);
                return Ok((found, Some(reached)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use strongroom_domain::NamespaceId;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const NOW: Time = Time(1_800_000_000_000_000);

    fn given(taken: BTreeMap<(Key, Time), Given>) -> Vec<(Time, Option<String>, u64, u64)> {
        let all = taken.into_iter().flat_map(|((_, minute), given)| {
            let counts = given.into_values();
            counts.map(move |count| (minute, count.variant, count.evaluations, count.in_bulk))
        });
        all.collect()
    }

    #[test]
    fn each_evaluation_is_counted_in_its_minute_once() {
        let tallies = Arc::new(Tallies::default());
        let set = Key::new(NamespaceId([1; 16]), Kind::FlagSet, "shop/prod");
        let ids = HashMap::from([("a".to_owned(), ObjectId([1; 16]))]);
        let tally = Tally::of(set.clone(), &tallies);
        let used = |key, variant, in_bulk| Used { key, variant, in_bulk };
        let on = used("a", Some("on"), false);
        for (now, first) in [(NOW, true), (NOW, false), (NOW + MINUTE, true), (NOW + MINUTE, false)] {
            assert_eq!(tally.first(&on, &ids, now).is_some(), first);
        }
        assert!(tally.first(&used("a", Some("on"), true), &ids, NOW).is_some());
        assert!(tally.first(&used("a", None, false), &ids, NOW).is_some());
        assert!(tally.first(&used("gone", None, false), &ids, NOW).is_none());
        let variant = || Some("on".to_owned());
        assert_eq!(
            given(tallies.all_taken()),
            [
                (NOW, None, 1, 0),
                (NOW, variant(), 2, 1),
                (NOW + MINUTE, variant(), 2, 0)
            ]
        );
        assert!(tallies.all_taken().is_empty(), "taken once");
        assert!(
            tally.first(&on, &ids, NOW + MINUTE).is_none(),
            "it is no first one for that"
        );
        // Of the next compiled set nothing is known yet, and of this one nothing is lost.
        let next = Tally::of(set, &tallies);
        assert!(next.first(&on, &ids, NOW + MINUTE).is_some());
        drop(tally);
        assert_eq!(given(tallies.all_taken()), [(NOW + MINUTE, variant(), 2, 0)]);
        assert_eq!(
            tallies
                .of_sets
                .lock()
                .unwrap()
                .iter()
                .filter(|tally| tally.strong_count() > 0)
                .count(),
            1
        );
    }

    #[test]
    fn rows_wait_in_order_and_within_a_bound() {
        let tallies = Tallies::default();
        let row = |number: usize| {
            Record::blank(
                Key::new(NamespaceId([1; 16]), Kind::FlagCounts, number.to_string()),
                ObjectId([0; 16]),
            )
        };
        tallies.wait((0..MAX_WAITING + 30).map(row));
        let names: Vec<String> = tallies.next().into_iter().map(|row| row.name).collect();
        let expected: Vec<String> = (30..30 + WRITTEN_AT_ONCE).map(|number| number.to_string()).collect();
        assert_eq!(names, expected, "the oldest are let go");
    }
}
