//! What was sent and what was answered, held against what is there afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::Api;

/// So few that writers contend for them.
const SECRETS: u64 = 8;
const PATIENCE: Duration = Duration::from_secs(15);
/// Answers to a change while its store is away. The first three promise that nothing was changed.
const REFUSALS: [&str; 5] = [
    "audit_unavailable",
    "store_unavailable",
    "unsettled",
    "outcome_unknown",
    "deadline_exceeded",
];
const NOTHING_CHANGED: usize = 3;

/// A xorshift generator. Its seed is printed, and taken from `STRONGROOM_TEST_SEED`.
pub(super) struct Dice(u64);

impl Dice {
    #[expect(clippy::disallowed_methods, reason = "a test is configured by its environment")]
    pub(super) fn seeded() -> Self {
        let seed = match std::env::var("STRONGROOM_TEST_SEED") {
            Ok(text) => text.parse().expect("STRONGROOM_TEST_SEED is a number"),
            Err(_) => RandomState::new().build_hasher().finish(),
        };
        println!("STRONGROOM_TEST_SEED={seed}");
        Self(seed.max(1))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn fork(&mut self) -> Self {
        Self(self.next().max(1))
    }

    pub(super) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.next() % (to - from))
    }
}

#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// As this version.
    Acknowledged(i64),
    /// With this code.
    Refused(String),
    Dropped,
}

#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) path: String,
    pub(super) id: String,
    pub(super) value: String,
    pub(super) outcome: Outcome,
}

impl Write {
    pub(super) fn random(folder: &str, dice: &mut Dice) -> Self {
        Self {
            path: format!("{folder}/{}", dice.next() % SECRETS),
            id: format!("{:016x}{:016x}", dice.next(), dice.next()),
            value: format!("value {:016x}", dice.next()),
            outcome: Outcome::Dropped,
        }
    }
}

pub(super) async fn send(api: &Api, write: &Write) -> Outcome {
    let body = json!({ "value": write.value, "id": write.id });
    match api.call("PUT", &format!("secrets/{}", write.path), Some(body)).await {
        Err(_) => Outcome::Dropped,
        Ok((200 | 201, answer)) => Outcome::Acknowledged(answer["version"].as_i64().unwrap()),
        Ok((status, answer)) => {
            let code = answer["code"].as_str().unwrap_or_default();
            assert!(status >= 500 && REFUSALS.contains(&code), "{status} {answer}");
            Outcome::Refused(code.to_owned())
        }
    }
}

/// Sends a write again until it is acknowledged.
pub(super) async fn repeat(api: &Api, write: &Write) -> i64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match send(api, write).await {
            Outcome::Acknowledged(version) => return version,
            outcome => assert!(Instant::now() < deadline, "a retry is never acknowledged: {outcome:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A question that is asked again while the server is not back yet.
async fn ask(api: &Api, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (status, answer) = api.call(method, path, body.clone()).await.unwrap();
        let mut items = answer["items"].as_array().into_iter().flatten();
        if status != 503 && items.all(|item| item["error"]["status"] != 503) {
            return (status, answer);
        }
        assert!(Instant::now() < deadline, "the server does not recover: {answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) kills: usize,
    acknowledged: usize,
    unacknowledged: usize,
    codes: BTreeMap<String, usize>,
    lost: Vec<String>,
    phantom: Vec<String>,
    twice: Vec<String>,
}

impl Tally {
    pub(super) fn judge(&self, what: &str) {
        let (lost, phantom, twice) = (self.lost.len(), self.phantom.len(), self.twice.len());
        println!(
            "{what}: kills {}, acknowledged {}, lost {lost}, phantom {phantom}, twice {twice} \
             (not acknowledged {}, of them {:?})",
            self.kills, self.acknowledged, self.unacknowledged, self.codes
        );
        assert!(
            self.acknowledged > 0 && self.unacknowledged > 0,
            "the kills met no write"
        );
        let faults: Vec<_> = self
            .lost
            .iter()
            .chain(&self.phantom)
            .chain(&self.twice)
            .take(20)
            .collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

/// What is stored below a folder: the ids of each version, their values, and their entries.
#[derive(Default)]
pub(super) struct Stored {
    /// Path and id, and the versions that have it.
    pub(super) ids: BTreeMap<(String, String), Vec<i64>>,
    values: BTreeMap<(String, i64), String>,
    entries: BTreeMap<(String, i64), usize>,
}

impl Stored {
    pub(super) async fn below(api: &Api, folder: &str) -> Self {
        let mut stored = Self::default();
        stored.read_histories(api, folder).await;
        stored.read_values(api).await;
        stored.read_entries(api, folder).await;
        stored
    }

    async fn read_histories(&mut self, api: &Api, folder: &str) {
        for secret in 0..SECRETS {
            let path = format!("{folder}/{secret}");
            let (status, history) = ask(api, "GET", &format!("versions/{path}"), None).await;
            assert!(matches!(status, 200 | 404), "{history}");
            for version in history["versions"].as_array().into_iter().flatten() {
                let id = version["id"].as_str().unwrap().to_owned();
                self.ids
                    .entry((path.clone(), id))
                    .or_default()
                    .push(version["version"].as_i64().unwrap());
            }
        }
    }

    async fn read_values(&mut self, api: &Api) {
        let reads: Vec<Value> = self
            .ids
            .iter()
            .flat_map(|((path, _), versions)| {
                versions
                    .iter()
                    .map(move |version| json!({"path": path, "version": version}))
            })
            .collect();
        for chunk in reads.chunks(200) {
            let (status, answer) = ask(api, "POST", "batch", Some(json!({ "reads": chunk }))).await;
            assert_eq!(status, 200, "{answer}");
            for item in answer["items"].as_array().unwrap() {
                let path = item["path"].as_str().unwrap().to_owned();
                // One that cannot be opened has none, and is found by that.
                if let (Some(version), Some(value)) = (item["version"].as_i64(), item["value"].as_str()) {
                    self.values.insert((path, version), value.to_owned());
                }
            }
        }
    }

    async fn read_entries(&mut self, api: &Api, folder: &str) {
        let mut cursor = String::new();
        loop {
            let query = format!("audit?path={folder}&action=secret.write&outcome=granted&limit=1000{cursor}");
            let (status, page) = ask(api, "GET", &query, None).await;
            assert_eq!(status, 200, "{page}");
            for entry in page["items"].as_array().unwrap() {
                // A repeat that found its change made has an entry without a version.
                if let Some(version) = entry["version"].as_i64() {
                    *self
                        .entries
                        .entry((entry["path"].as_str().unwrap().to_owned(), version))
                        .or_default() += 1;
                }
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return,
            }
        }
    }

    /// Whether a version is there whole: its value and exactly one entry.
    pub(super) fn is_whole(&self, path: &str, version: i64, value: &str) -> bool {
        let key = (path.to_owned(), version);
        self.values.get(&key).is_some_and(|stored| stored == value) && self.entries.get(&key) == Some(&1)
    }
}

/// Judges one round, then repeats what was not acknowledged and judges again.
pub(super) async fn check(api: &Api, folder: &str, writes: &[Write], tally: &mut Tally) {
    let stored = Stored::below(api, folder).await;
    let known: BTreeMap<_, _> = writes
        .iter()
        .map(|write| ((write.path.clone(), write.id.clone()), write))
        .collect();
    for (key, versions) in &stored.ids {
        match known.get(key) {
            None => tally.phantom.push(format!("{key:?} was never sent")),
            Some(write) if !stored.is_whole(&key.0, versions[0], &write.value) => {
                tally
                    .phantom
                    .push(format!("{versions:?} is there and not whole: {write:?}"));
            }
            Some(_) => {}
        }
    }
    let versions: BTreeSet<_> = stored
        .ids
        .iter()
        .flat_map(|((path, _), all)| all.iter().map(move |version| (path.clone(), *version)))
        .collect();
    let without = stored.entries.keys().filter(|key| !versions.contains(*key));
    tally
        .phantom
        .extend(without.map(|key| format!("{key:?} has an entry and is not there")));
    for write in writes {
        judge(write, stored.ids.get(&(write.path.clone(), write.id.clone())), tally);
        if !matches!(write.outcome, Outcome::Acknowledged(_)) {
            repeat(api, write).await;
        }
    }
    let stored = Stored::below(api, folder).await;
    for (key, write) in &known {
        match stored.ids.get(key).map(Vec::as_slice) {
            Some([version]) if stored.is_whole(&key.0, *version, &write.value) => {}
            found => tally.twice.push(format!("after a retry {found:?}: {write:?}")),
        }
    }
}

fn judge(write: &Write, found: Option<&Vec<i64>>, tally: &mut Tally) {
    match (&write.outcome, found) {
        (Outcome::Acknowledged(version), found) => {
            tally.acknowledged += 1;
            if found.is_none_or(|found| *found != [*version]) {
                tally.lost.push(format!("{found:?}: {write:?}"));
            }
        }
        (Outcome::Refused(code), found) => {
            tally.unacknowledged += 1;
            *tally.codes.entry(code.clone()).or_default() += 1;
            if found.is_some() && REFUSALS[..NOTHING_CHANGED].contains(&code.as_str()) {
                tally.phantom.push(format!("there though refused: {write:?}"));
            }
        }
        (Outcome::Dropped, _) => tally.unacknowledged += 1,
    }
}
