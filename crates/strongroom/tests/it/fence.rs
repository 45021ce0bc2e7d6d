//! Revoked means refused: a request that arrives after a change was acknowledged is not answered by the state before
//! it, on another node that nothing tells of changes, nor after a pause between that node's check and its answer.

mod history;
pub(crate) mod writer;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use serde_json::json;
use strongroom_testkit::scale;
use tokio::task::JoinHandle;

use crate::harness::{Api, On, Server, Store};
use history::{Answer, Seen, Shown};
use writer::{Dice, Writer, path};

/// Readers that never pause.
const READERS: usize = 4;
/// Had changes been acknowledged so much earlier, some answers would be stale: a check that finds none checks nothing.
const SOONER: Duration = Duration::from_millis(20);
/// Neither LISTEN nor polling: only the fence tells this node anything.
const ALONE: &[(&str, &str)] = &[("STRONGROOM_CACHE_POLL_MS", "0")];

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of rounds"
)]
fn rounds(at_one: f64) -> usize {
    (at_one * scale()).ceil() as usize
}

/// The token that is good now, and of which client it is.
type Token = Arc<RwLock<(u32, String)>>;

async fn see(api: &Api, token: (u32, String), secret: usize) -> Seen {
    let api = api.with_token(token.1);
    let target = format!("secrets/{}", path(secret));
    let sent = Instant::now();
    let (status, body) = api.call("GET", &target, None).await.unwrap();
    let answer = match status {
        200 => Answer::Shown(Shown::Value(body["value"].as_str().unwrap().into())),
        401 => Answer::Unknown,
        403 => Answer::Denied,
        404 if body["code"] == "deleted" => Answer::Shown(Shown::Deleted),
        404 => Answer::Shown(Shown::Absent),
        503 => Answer::Refused,
        other => panic!("{other}: {body}"),
    };
    Seen {
        sent,
        answered: Instant::now(),
        secret,
        generation: token.0,
        answer,
    }
}

/// Readers of random secrets on one node, with the token that is good and sometimes the one before.
struct Readers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<Seen>>>,
}

impl Readers {
    fn start(api: &Api, token: &Token, secrets: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let task = |at: usize| {
            let (api, token, stop) = (api.clone(), token.clone(), stop.clone());
            tokio::spawn(async move {
                let mut dice = Dice(at as u64 * 7919 + 13);
                let (mut seen, mut before) = (Vec::new(), token.read().unwrap().clone());
                while !stop.load(Ordering::Relaxed) {
                    let now = token.read().unwrap().clone();
                    let used = if dice.below(8) == 0 {
                        before.clone()
                    } else {
                        now.clone()
                    };
                    if now.0 != before.0 && dice.below(4) == 0 {
                        before = now;
                    }
                    seen.push(see(&api, used, dice.below(secrets)).await);
                }
                seen
            })
        };
        Self {
            tasks: (0..READERS).map(task).collect(),
            stop,
        }
    }

    async fn stop(self) -> Vec<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        let mut seen = Vec::new();
        for task in self.tasks {
            seen.extend(task.await.unwrap());
        }
        seen
    }
}

/// What is seen of a node while changes are acknowledged, by the same node or another.
struct Watch<'a> {
    writer: Writer,
    node: Api,
    token: Token,
    secrets: usize,
    seen: Vec<Seen>,
    changes: BTreeMap<&'static str, usize>,
    /// Stopped between check and answer.
    paused: Option<&'a Server>,
}

impl<'a> Watch<'a> {
    async fn new(writer: Api, node: Api, rounds: usize, paused: Option<&'a Server>) -> Self {
        // So many that no head grows long, so few that caches are warm.
        let secrets = 8 + rounds / 50;
        let writer = Writer::new(writer, secrets).await;
        let token = Arc::new(RwLock::new((0, writer.token.clone())));
        Self {
            writer,
            node,
            token,
            secrets,
            seen: Vec::new(),
            changes: BTreeMap::new(),
            paused,
        }
    }

    fn token(&self) -> (u32, String) {
        self.token.read().unwrap().clone()
    }

    async fn change(&mut self, secret: usize, dice: &mut Dice) {
        let what = self.writer.change(secret, dice).await;
        *self.changes.entry(what).or_default() += 1;
    }

    /// Warm, change, and at once look again.
    async fn round(&mut self, dice: &mut Dice) {
        let secret = dice.below(self.secrets);
        let token = self.token();
        self.seen.push(see(&self.node, token.clone(), secret).await);
        self.change(secret, dice).await;
        self.seen.push(see(&self.node, token, secret).await);
        self.renew().await;
    }

    /// The same, with the node stopped while requests are under way. What is sent to it while it is stopped waits in its
    /// socket.
    async fn round_with_a_pause(&mut self, dice: &mut Dice) {
        let secret = dice.below(self.secrets);
        let token = self.token();
        self.seen.push(see(&self.node, token.clone(), secret).await);
        let ask = |node: &Api, token: &(u32, String)| {
            let (node, token) = (node.clone(), token.clone());
            tokio::spawn(async move { see(&node, token, secret).await })
        };
        let mut asked: Vec<_> = (0..4).map(|_| ask(&self.node, &token)).collect();
        tokio::time::sleep(Duration::from_micros(dice.below(4000) as u64)).await;
        let server = self.paused.unwrap();
        server.pause();
        self.change(secret, dice).await;
        asked.extend((0..2).map(|_| ask(&self.node, &token)));
        tokio::time::sleep(Duration::from_millis(1)).await;
        server.resume();
        asked.extend((0..2).map(|_| ask(&self.node, &token)));
        for task in asked {
            self.seen.push(task.await.unwrap());
        }
        self.renew().await;
    }

    async fn renew(&mut self) {
        let generation = self.writer.history.grants().generation;
        if generation != self.token().0 {
            self.writer.new_client().await;
            *self.token.write().unwrap() = (generation, self.writer.token.clone());
        }
    }

    async fn run(mut self, title: &str, rounds: usize) {
        let began = Instant::now();
        let readers = Readers::start(&self.node, &self.token, self.secrets);
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        for _ in 0..rounds {
            if self.paused.is_some() {
                self.round_with_a_pause(&mut dice).await;
            } else {
                self.round(&mut dice).await;
            }
        }
        let at_once = self.seen.len();
        self.seen.extend(readers.stop().await);
        let verdict = self.writer.history.judge(&self.seen, Duration::ZERO);
        let pretended = self.writer.history.judge(&self.seen, SOONER).wrong.len();
        println!(
            "{title}: {rounds} rounds in {:.1} s, {} answers checked ({at_once} asked for by the rounds, {} within 10 ms of an \
             acknowledgement), {} refused, {} stale; were changes acknowledged {SOONER:?} sooner: {pretended} stale; {:?}",
            began.elapsed().as_secs_f64(),
            verdict.checked,
            verdict.close,
            verdict.refused,
            verdict.wrong.len(),
            self.changes,
        );
        assert!(
            verdict.wrong.is_empty(),
            "{} stale (seen, due): {:?}\n{}",
            verdict.wrong.len(),
            verdict.kinds,
            verdict.wrong[..verdict.wrong.len().min(5)].join("\n")
        );
        assert!(
            verdict.refused * 20 <= verdict.checked,
            "one in twenty may be refused: {}",
            verdict.refused
        );
        assert!(
            pretended > 0,
            "a check that finds nothing stale, however early a change is said to be, checks nothing"
        );
    }
}

/// Two nodes on one PostgreSQL, neither told of the other's changes.
struct Pair {
    writer: Server,
    node: Server,
    store: Store,
}

impl Pair {
    fn start() -> Self {
        let store = Store::fresh(On::Postgres);
        store.dev(&[]).terminate();
        Self {
            writer: store.node("a", ALONE),
            node: store.node("b", ALONE),
            store,
        }
    }

    async fn watch(&self, rounds: usize, paused: bool) -> Watch<'_> {
        let writer = Api::new(&self.writer, self.store.root_token());
        let node = Api::new(&self.node, self.store.root_token());
        Watch::new(writer, node, rounds, paused.then_some(&self.node)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_never_answers_by_the_old_state() {
    let pair = Pair::start();
    let rounds = rounds(300.0);
    pair.watch(rounds, false).await.run("two nodes", rounds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_one_that_was_stopped_between_check_and_answer() {
    let pair = Pair::start();
    let rounds = rounds(150.0);
    pair.watch(rounds, true)
        .await
        .run("two nodes, one stopped again and again", rounds)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_the_one_node_of_the_embedded_store() {
    let store = Store::fresh(On::Sqlite);
    let server = store.dev(&[]);
    let api = Api::new(&server, store.root_token());
    let rounds = rounds(300.0);
    Watch::new(api.clone(), api, rounds, None)
        .await
        .run("one node on SQLite", rounds)
        .await;
}

/// A node decides a write from what it remembers. What another node wrote meanwhile is neither lost nor overlooked.
#[tokio::test(flavor = "multi_thread")]
async fn writes_from_old_memory() {
    let store = Store::fresh(On::Postgres);
    let first = store.dev(ALONE);
    let second = store.node("second", ALONE);
    let nodes = [&first, &second].map(|server| Api::new(server, store.root_token()));
    let mut dice = Dice(42);
    let mut current = 0;
    let mut refused = 0;
    for round in 0..200 {
        let api = &nodes[usize::from(dice.below(2) == 0)];
        let cas = match dice.below(4) {
            0 => Some(current),
            1 => Some(current - 1),
            _ => None,
        };
        let value = format!("value {round}");
        let (status, answer) = api.put("secrets/memory/a", json!({ "value": value, "cas": cas })).await;
        if cas.is_none_or(|cas| cas == current) {
            assert_eq!(
                (status, answer["version"].as_i64()),
                (201, Some(current + 1)),
                "round {round}: {answer}"
            );
            current += 1;
        } else {
            assert_eq!(
                (status, answer["code"].as_str()),
                (409, Some("cas_mismatch")),
                "round {round}: {answer}"
            );
            refused += 1;
        }
        if dice.below(8) == 0 {
            let (status, answer) = nodes[1].delete("secrets/memory/a").await;
            assert_eq!((status, answer["version"].as_i64()), (200, Some(current)), "{answer}");
            let (status, answer) = nodes[0].get("secrets/memory/a").await;
            assert_eq!((status, answer["code"].as_str()), (404, Some("deleted")), "{answer}");
        } else if dice.below(2) == 0 {
            for api in &nodes {
                let (_, answer) = api.get("secrets/memory/a").await;
                assert!(
                    answer["version"].as_i64() == Some(current) || answer["code"] == "deleted",
                    "round {round}: {answer}"
                );
            }
        }
    }
    assert!(current > 100 && refused > 10, "{current} written, {refused} refused");
}

/// A change learns of other nodes' changes as a read does: it is decided again, not refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_asked_for_changes_alone_learns_too() {
    let pair = Pair::start();
    let writer = Api::new(&pair.writer, pair.store.root_token());
    let rules = |capability: &str| json!([{ "path": "secret/first/*", "capabilities": ["create", capability] }]);
    let token = writer.workload("first", rules("update")).await;
    let node = Api::new(&pair.node, token);
    for round in 0..20 {
        let (status, answer) = node.put("secrets/first/a", json!({ "value": round.to_string() })).await;
        assert_eq!(status, 201, "round {round}: {answer}");
        let policy = json!({ "rules": rules(if round == 19 { "read" } else { "update" }) });
        let (status, answer) = writer.put("policies/first", policy).await;
        assert_eq!(status, 200, "{answer}");
    }
    let (status, answer) = node.put("secrets/first/a", json!({ "value": "x" })).await;
    assert_eq!(status, 403, "{answer}");
}
