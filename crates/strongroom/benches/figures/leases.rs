//! Leases that end together, and leases that lie in the table. The server whose users they are counts, and does nothing else.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use strongroom_testkit::scale;

use crate::counting::{Counting, lease};
use crate::harness::{Api, Server, Store};
use crate::sql::Sql;
use crate::{READ, SECRETS, Wrk, fill, resident, start_up, wrk};

const AT_ONCE: usize = 16;
/// By these is seen how long making one takes.
const FIRST: u32 = 400;
const HOME: (&str, &str) = ("STRONGROOM_OUTBOUND_ALLOW", "127.0.0.1");
/// Of one look at what a read takes.
const SECONDS: u32 = 2;
const LOOKS: usize = 5;
/// For these looks, between the last lease that is made and the first that ends.
const QUIET: Duration = Duration::from_secs(20);

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of leases"
)]
fn scaled(of_one: f64) -> u32 {
    (of_one * scale()).ceil() as u32
}

/// 2,000 leases at scale 1, and 100,000 at scale 50.
pub(super) async fn together(store: &Store) {
    let count = scaled(2_000.0);
    let server = store.dev(&[HOME]);
    let root = Api::new(&server, store.root_token());
    fill(&root, "bench/prod", SECRETS).await;
    let counting = Counting::start().await;
    // What was refused counts until it is taken back.
    counting.is_target(&root, 2 * count.max(FIRST)).await;
    let began = Instant::now();
    make(FIRST, |_| lease(&root, 1)).await;
    let until = began.elapsed() * count * 2 / FIRST + QUIET;
    while counting.users() > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let began = Instant::now();
    make(count, |_| {
        lease(&root, until.saturating_sub(began.elapsed()).as_secs().max(1))
    })
    .await;
    let made = began.elapsed();
    let users = counting.users();
    assert!(
        users >= count as usize && made + QUIET / 2 < until,
        "{users} in {made:?}"
    );
    println!(
        "=> leases made: {:.0}/s, {AT_ONCE} at once",
        f64::from(count) / made.as_secs_f64()
    );
    let idle: Vec<Wrk> = (0..LOOKS).map(|_| read(store, &server)).collect();
    // Reads keep what they read: that is not for leases to answer for.
    let before = resident(&server);
    tokio::time::sleep(until.saturating_sub(began.elapsed())).await;
    let ended = Instant::now();
    let (mut busy, mut most) = (Vec::new(), 0);
    while counting.users() > 0 {
        most = most.max(resident(&server));
        let look = tokio::task::block_in_place(|| read(store, &server));
        // One that ended when they were gone tells of neither.
        if counting.users() > 0 {
            busy.push(look);
        }
        most = most.max(resident(&server));
    }
    let took = ended.elapsed();
    let median = |looks: &[Wrk], of: fn(&Wrk) -> Duration| {
        let mut all: Vec<Duration> = looks.iter().map(of).collect();
        all.sort();
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    let p50 = |looks: &[Wrk]| median(looks, |look| look.p50);
    let p99 = |looks: &[Wrk]| median(looks, |look| look.p99);
    println!(
        "=> {count} leases end within a second: the last user was gone {took:.1?} later (by {SECONDS} s); read on one connection: \
         p50 {:?}, p99 {:?} before, p50 {:?}, p99 {:?} meanwhile ({} looks), p99 ratio {:.2}",
        p50(&idle),
        p99(&idle),
        p50(&busy),
        p99(&busy),
        busy.len(),
        p99(&busy).as_secs_f64() / p99(&idle).as_secs_f64(),
    );
    let ratio = |after: u64| f64::from(u32::try_from(after).unwrap()) / f64::from(u32::try_from(before).unwrap());
    println!(
        "=> resident memory: {before} kB before, at most {most} kB meanwhile, ratio {:.2}",
        ratio(most)
    );
}

async fn make<F: Future>(count: u32, one: impl Fn(u32) -> F) {
    stream::iter(0..count)
        .for_each_concurrent(AT_ONCE, |at| {
            let made = one(at);
            async move {
                made.await;
            }
        })
        .await;
}

fn read(store: &Store, server: &Server) -> Wrk {
    wrk(
        &server.address(),
        &store.root_token(),
        store.dir.path(),
        READ,
        1,
        SECONDS,
    )
}

/// 20,000 rows more at scale 1, and 1,000,000 at scale 50: copies of a lease's, which nobody looks at before they are due.
pub(super) async fn at_rest(store: &Store) {
    let server = store.dev(&[HOME]);
    let root = Api::new(&server, store.root_token());
    let counting = Counting::start().await;
    counting.is_target(&root, 1).await;
    lease(&root, 86_400).await;
    drop(server);
    start_up(store, "1 lease");
    let count = scaled(20_000.0);
    let sql = Sql::of(store, None);
    let (id, name) = match &sql {
        Sql::Postgres(_) => ("decode(md5(n::text), 'hex')", "substr(md5(n::text), 1, 20)"),
        Sql::Sqlite(_) => ("randomblob(16)", "lower(hex(randomblob(10)))"),
    };
    let copies = format!(
        "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < {count}) \
         INSERT INTO record (namespace, kind, id, name, rev, due, format, body, mac) \
         SELECT namespace, kind, {id}, {name}, rev, due, format, body, mac FROM record CROSS JOIN many \
         WHERE kind = {}",
        strongroom_domain::Kind::Lease.number()
    );
    sql.run(&[copies]).await;
    start_up(store, &format!("{} leases", count + 1));
}
