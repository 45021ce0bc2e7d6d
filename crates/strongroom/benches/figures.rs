//! The figures of docs/PERFORMANCE.md, from one command: `cargo xtask bench`. Ratios within one run, since machines
//! differ and are noisy. Needs `wrk` and PostgreSQL's binaries (`pgbench` among them).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot go on should stop, and what it prints is its purpose"
)]

#[path = "../tests/it/leases/counting.rs"]
mod counting;
#[path = "figures/decisions.rs"]
mod decisions;
#[path = "figures/flags.rs"]
mod flags;
#[expect(dead_code, unused_macros, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/harness.rs"]
mod harness;
#[path = "figures/leases.rs"]
mod leases;
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/sql.rs"]
mod sql;
#[path = "figures/tokens.rs"]
mod tokens;
#[path = "figures/watch.rs"]
mod watch;
#[path = "figures/yardstick.rs"]
mod yardstick;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use harness::{Api, On, Store};
use serde_json::json;
use strongroom_testkit::{Cluster, scale};
use yardstick::{BARE, Yardstick};

const SECRETS: usize = 1000;
/// Each can be asked for by its name, as an argument, and so can one of the two stores; without, all are taken.
const PARTS: [&str; 6] = ["decisions", "flags", "api", "watch", "rest", "leases"];
/// One read of the 1,000 secrets in rotation, as wrk's Lua has it.
const READ: &str = "return wrk.format(\"GET\", string.format(\"/api/v1/secrets/bench/prod/name-%04d\", n % 1000), h)";

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let asked = |what: &&str| std::env::args().any(|argument| argument == *what);
    if asked(&BARE) {
        return runtime.block_on(yardstick::bare());
    }
    let all = !PARTS.iter().any(asked);
    for part in PARTS.iter().filter(|part| all || asked(part)) {
        println!("\n# {part}");
        runtime.block_on(figures(part));
    }
}

async fn figures(part: &str) {
    match part {
        "decisions" => return decisions::figures(),
        "flags" => flags::in_process(),
        _ => {}
    }
    let cluster = Cluster::start();
    let named = |on: &On| std::env::args().any(|argument| argument == format!("{on:?}").to_lowercase());
    let stores = [On::Postgres, On::Sqlite];
    let all = !stores.iter().any(named);
    for on in stores.into_iter().filter(|on| all || named(on)) {
        println!("\n## {on:?}");
        match part {
            "flags" => flags::over_http(&fresh(on, &cluster, "flags")).await,
            "api" => api(on, &cluster).await,
            "watch" if on == On::Postgres => watch::figures(fresh(on, &cluster, "watch")).await,
            "rest" => at_rest(fresh(on, &cluster, "rest")).await,
            "leases" => {
                leases::together(&fresh(on, &cluster, "together")).await;
                leases::at_rest(&fresh(on, &cluster, "leases")).await;
            }
            _ => {}
        }
    }
}

fn fresh(on: On, cluster: &Cluster, name: &str) -> Store {
    match on {
        On::Postgres => Store::at(cluster.create_database(name)),
        On::Sqlite => Store::fresh(On::Sqlite),
    }
}

/// What a client waits for.
async fn api(on: On, cluster: &Cluster) {
    let store = fresh(on, cluster, "bench");
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    fill(&root, "bench/prod", SECRETS).await;
    let rules: Vec<_> = (0..10)
        .map(|at| json!({"path": format!("secret/other-{at}/*"), "capabilities": ["read"]}))
        .collect();
    let rules = [
        rules,
        vec![json!({"path": "secret/bench/prod/*", "capabilities": ["read", "list"]})],
    ]
    .concat();
    let login = root.workload_login("bench", json!(rules)).await;
    let token = root.post("auth/client/login", login.clone()).await.1;
    let token = token["access_token"].as_str().unwrap().to_owned();
    reads(&root, &token, store.dir.path()).await;
    if on == On::Postgres {
        one_connection(&server.address(), &token, store.dir.path(), cluster);
    }
    logins(&server.address(), &login, store.dir.path());
    bulk(&root).await;
    fill(&root, "write", 5_000).await;
    writes(&server.address(), &store.root_token(), store.dir.path());
    let (unseen, address) = (tokens::unseen(&root, "bench", &login).await, server.address());
    drop(server);
    tokens::figures(&store, &address, &unseen).await;
}

/// What a server holds on to, and how it starts, on a store that is full: 1,000,000 secrets at scale 50.
async fn at_rest(store: Store) {
    let server = store.dev(&[]);
    let root = Api::new(&server, store.root_token());
    println!("=> resident memory, nothing stored: {} kB", resident(&server));
    fill(&root, "bench/prod", SECRETS).await;
    fill(&root, "rest", 10_000 - SECRETS).await;
    wrk(&server.address(), &store.root_token(), store.dir.path(), READ, 1000, 5);
    tokio::time::sleep(Duration::from_mins(1)).await;
    println!(
        "=> resident memory with 10,000 secrets, 60 s after load: {} kB",
        resident(&server)
    );
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of secrets"
    )]
    let more = (20.0 * scale()) as usize;
    for folder in 0..more {
        fill(&root, &format!("full/{folder:03}"), 1000).await;
    }
    listing(&root, 1000 * more.min(100)).await;
    drop(server);
    start_up(&store, &format!("{} versions", 10_000 + 1000 * more));
}

/// The first `names` of a recursive listing, by pages of 1,000.
async fn listing(root: &Api, names: usize) {
    let (started, mut seen, mut after) = (Instant::now(), 0, String::new());
    while seen < names {
        let (status, page) = root.get(&format!("list/full?recursive=true&limit=1000{after}")).await;
        assert_eq!(status, 200, "{page}");
        seen += page["items"].as_array().unwrap().len();
        match page["next_cursor"].as_str() {
            Some(next) => after = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, names, "every name once");
    println!("=> listing {names} names, by pages of 1,000: {:?}", started.elapsed());
}

struct Wrk {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

/// One run of `wrk`, with the token's header; `request` is the Lua that makes the n-th request.
fn wrk(address: &str, token: &str, scripts: &Path, request: &str, connections: usize, seconds: u32) -> Wrk {
    let script = scripts.join("paths.lua");
    let lua = format!(
        "local n = 0\nlocal h = {{ [\"Authorization\"] = \"Bearer {token}\" }}\n\
         request = function()\n  n = n + 1\n  {request}\nend\n\
         done = function(summary, latency, requests)\n\
         io.write(string.format(\"RESULT %f %f %f %d\\n\", summary.requests / (summary.duration / 1e6), \
         latency:percentile(50), latency:percentile(99), summary.errors.status + summary.errors.connect + summary.errors.timeout))\nend\n"
    );
    std::fs::write(&script, lua).unwrap();
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "-s"])
        .arg(&script)
        .arg(address)
        .output()
        .expect("wrk is needed: apt-get install wrk");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("RESULT "))
        .unwrap_or_else(|| panic!("{text}"));
    let numbers: Vec<f64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
    assert!(numbers[3] < 1.0, "errors: {text}");
    let micros = |number: f64| Duration::from_secs_f64(number / 1e6);
    Wrk {
        per_second: numbers[0],
        p50: micros(numbers[1]),
        p99: micros(numbers[2]),
    }
}

async fn reads(root: &Api, token: &str, scripts: &Path) {
    let answer = root.get("secrets/bench/prod/name-0123").await.1.to_string();
    let bare = Yardstick::start(&answer);
    for (connections, pairs) in [(1000, 9), (64, 5)] {
        let what = format!("read, {connections} connections");
        bare.beside(&what, pairs, &root.address, |address| {
            wrk(address, token, scripts, READ, connections, 2)
        });
    }
}

/// Beside a one-row autocommit INSERT, prepared, by pgbench on the same cluster.
fn one_connection(address: &str, token: &str, scripts: &Path, cluster: &Cluster) {
    let script = scripts.join("insert.sql");
    std::fs::write(&script, "INSERT INTO yardstick VALUES (1);\n").unwrap();
    let url = cluster.create_database("pgbench");
    strongroom_testkit::run_sql(&url, "CREATE TABLE yardstick (n bigint)");
    let mut ratios = Vec::new();
    for _ in 0..5 {
        let ours = wrk(address, token, scripts, READ, 1, 2).p50;
        let log = scripts.join("pgbench");
        let status = Command::new("pgbench")
            .args(["-n", "-M", "prepared", "-c1", "-T2", "-l", "--log-prefix"])
            .arg(&log)
            .arg("-f")
            .arg(&script)
            .arg(&url)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("pgbench is needed");
        assert!(status.success());
        let mut latencies: Vec<u64> = Vec::new();
        for file in std::fs::read_dir(scripts).unwrap().flatten() {
            if file.file_name().to_string_lossy().starts_with("pgbench.") {
                let text = std::fs::read_to_string(file.path()).unwrap();
                latencies.extend(
                    text.lines()
                        .filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok()),
                );
                std::fs::remove_file(file.path()).unwrap();
            }
        }
        latencies.sort_unstable();
        let theirs = Duration::from_micros(latencies[latencies.len() / 2]);
        println!("read, one connection: p50 {ours:?}, pgbench INSERT p50 {theirs:?}");
        ratios.push(ours.as_secs_f64() / theirs.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "=> read p50 ÷ pgbench INSERT p50, one connection: median {:.2}",
        ratios[ratios.len() / 2]
    );
}

async fn bulk(root: &Api) {
    let reads: Vec<_> = (0..1000)
        .map(|at| json!({"path": format!("bench/prod/name-{at:04}")}))
        .collect();
    let body = json!({ "reads": reads });
    let mut took = Vec::new();
    for _ in 0..11 {
        let started = Instant::now();
        let (status, answer) = root.post("batch", body.clone()).await;
        took.push(started.elapsed());
        assert_eq!((status, answer["items"].as_array().unwrap().len()), (200, 1000));
        assert!(answer["items"][999]["value"].is_string());
    }
    took.sort();
    println!("=> bulk read of 1,000 secrets: median {:?}", took[took.len() / 2]);
}

/// By client id and secret: a keyed hash, a signature, and an entry that is durable before the answer.
fn logins(address: &str, login: &serde_json::Value, scripts: &Path) {
    let request = format!("return wrk.format(\"POST\", \"/api/v1/auth/client/login\", h, '{login}')");
    for connections in [1, 64] {
        let done = wrk(address, "none", scripts, &request, connections, 3);
        let (rate, p50) = (done.per_second, done.p50);
        println!("=> logins, {connections} connections: {rate:.0}/s (p50 {p50:?})");
    }
}

/// New versions of 5,000 secrets in rotation. One writer's rate is one transaction a change.
fn writes(address: &str, token: &str, scripts: &Path) {
    let request = "return wrk.format(\"PUT\", string.format(\"/api/v1/secrets/write/name-%04d\", n % 5000), h, '{\"value\":\"0123456789abcdef\"}')";
    let mut alone = 0.0;
    for writers in [1, 32, 256] {
        let done = wrk(address, token, scripts, request, writers, 3);
        if writers == 1 {
            alone = done.per_second;
        }
        let (rate, times) = (done.per_second, done.per_second / alone);
        println!(
            "=> writes, {writers} writers: {rate:.0}/s (p50 {:?}), {times:.1} × one writer",
            done.p50
        );
    }
}

/// Writes secrets `<prefix>/name-0000` and on.
async fn fill(root: &Api, prefix: &str, secrets: usize) {
    for from in (0..secrets).step_by(500) {
        let writes: Vec<_> = (from..from + 500)
            .map(
                |name| json!({"path": format!("{prefix}/name-{name:04}"), "value": "0123456789abcdef0123456789abcdef"}),
            )
            .collect();
        let batch = json!({"writes": writes, "atomic": true});
        // A busy disk is no fault of a fill; one that is full ends it.
        let mut status = 503;
        for _ in 0..20 {
            status = root.post("batch", batch.clone()).await.0;
            if status != 503 {
                break;
            }
        }
        assert_eq!(status, 200);
    }
}

fn resident(server: &harness::Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn start_up(store: &Store, with: &str) {
    let mut took = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        let server = store.dev(&[]);
        took.push(started.elapsed());
        drop(server);
    }
    took.sort();
    println!("=> start to serving with {with}: median {:?}", took[2]);
    std::io::stdout().flush().unwrap();
}
