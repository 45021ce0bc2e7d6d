//! The log held back, unwritable, locked, hung, full: nothing is shown, refusals come in time, recovery is immediate.

use std::process::Command;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use strongroom_testkit::scale;

use super::stage::{self, Class, Report, Stage};
use crate::harness::{On, Store};
use crate::sql::Sql;

const ALL: &[Class] = &[Class::Reads, Class::Kept];

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_leaves_before_its_entry_is_committed() {
    let mut stage = Stage::behind_proxy(&[]).await;
    let mut report = Report::default();
    for _ in 0..3 {
        // What the server sends arrives and is done; that it is done, nobody says.
        stage.proxy.as_ref().unwrap().hang_replies();
        stage.refused(ALL, &mut report).await;
        stage.proxy.as_ref().unwrap().heal();
        stage.recovers(&mut report).await;
    }
    stage.finish("replies held back", report).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_hangs() {
    let mut stage = Stage::behind_proxy(&[]).await;
    let mut report = Report::default();
    let long = Duration::from_secs_f64((5.0 * scale()).min(30.0));
    let began = Instant::now();
    stage.proxy.as_ref().unwrap().hang();
    while began.elapsed() < long {
        stage.refused(ALL, &mut report).await;
    }
    stage.proxy.as_ref().unwrap().heal();
    stage.recovers(&mut report).await;
    stage.finish(&format!("hung for {long:?}"), report).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_cut_off() {
    let mut stage = Stage::behind_proxy(&[]).await;
    let mut report = Report::default();
    for _ in 0..3 {
        stage.proxy.as_ref().unwrap().cut();
        stage.refused(ALL, &mut report).await;
        stage.proxy.as_ref().unwrap().heal();
        stage.recovers(&mut report).await;
    }
    stage.finish("cut off", report).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_queue_is_refused_at_once() {
    let mut stage = Stage::behind_proxy(&[("STRONGROOM_AUDIT_QUEUE", "16")]).await;
    stage.proxy.as_ref().unwrap().hang();
    let ask = stage.warm_read();
    let first = tokio::spawn({
        let (ask, api) = (ask.clone(), stage.root.clone());
        async move { ask.send(&api).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let (ask, api) = (ask.clone(), stage.root.clone());
            tokio::spawn(async move { ask.send(&api).await })
        })
        .collect();
    let mut report = Report::default();
    let mut at_once = 0;
    for task in tasks {
        let answer = task.await.unwrap();
        at_once += usize::from(answer.text.contains("queue is full"));
        report.refusal("warm read", &answer);
        assert!(
            !answer.text.contains("queue is full") || answer.took < Duration::from_millis(500),
            "{:?}",
            answer.took
        );
    }
    report.refusal("warm read", &first.await.unwrap());
    println!("queue of 16, 200 requests: {at_once} refused at once");
    assert_eq!(at_once, 184, "16 wait, the rest does not");
    stage.proxy.as_ref().unwrap().heal();
    stage.recovers(&mut report).await;
    stage.finish("a full queue", report).await;
}

/// Its name, whose entries it is in the way of, what makes it and what takes it away.
type Obstacle = (&'static str, &'static [Class], Vec<String>, Vec<String>);

/// Ways to make tables unwritable while the server runs, and back.
fn obstacles(on: On) -> Vec<Obstacle> {
    let trigger = |table: &str, swallow: bool| match on {
        On::Postgres => {
            let body = if swallow { "RETURN NULL" } else { "RAISE EXCEPTION 'no'" };
            vec![
                format!("CREATE FUNCTION obstacle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$"),
                format!("CREATE TRIGGER obstacle BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION obstacle()"),
            ]
        }
        On::Sqlite => {
            let body = if swallow { "RAISE(IGNORE)" } else { "RAISE(ABORT, 'no')" };
            vec![format!(
                "CREATE TRIGGER obstacle BEFORE INSERT ON {table} BEGIN SELECT {body}; END"
            )]
        }
    };
    let undo = |table: &str| match on {
        On::Postgres => vec![
            format!("DROP TRIGGER obstacle ON {table}"),
            "DROP FUNCTION obstacle".into(),
        ],
        On::Sqlite => vec!["DROP TRIGGER obstacle".into()],
    };
    let rename = |from: &str, to: &str| vec![format!("ALTER TABLE {from} RENAME TO {to}")];
    let mut all = vec![(
        "batches renamed",
        ALL,
        rename("audit_batch", "gone"),
        rename("gone", "audit_batch"),
    )];
    for (table, classes) in [
        ("audit_batch", ALL),
        ("entry_reads", &[Class::Reads]),
        ("entry_kept", &[Class::Kept]),
    ] {
        all.push((
            if table == "audit_batch" {
                "batches refused"
            } else {
                "entries refused"
            },
            classes,
            trigger(table, false),
            undo(table),
        ));
        all.push((
            if table == "audit_batch" {
                "batches swallowed"
            } else {
                "entries swallowed"
            },
            classes,
            trigger(table, true),
            undo(table),
        ));
    }
    all
}

async fn unwritable(on: On, wanted: &str) {
    let mut stage = stage::on(on, &[]).await;
    let sql = stage.sql();
    let mut report = Report::default();
    let mut tried = 0;
    for (_, classes, make, undo) in obstacles(on).into_iter().filter(|(name, ..)| name.contains(wanted)) {
        sql.run(&make).await;
        stage.refused(classes, &mut report).await;
        stage.refused(classes, &mut report).await;
        sql.run(&undo).await;
        stage.recovers(&mut report).await;
        tried += 1;
    }
    assert!(tried > 0);
    stage.finish(&format!("{on:?}, {wanted}"), report).await;
}

async fn tables_renamed(on: On) {
    unwritable(on, "renamed").await;
}

async fn inserts_that_fail(on: On) {
    unwritable(on, "refused").await;
}

async fn entries_that_vanish(on: On) {
    unwritable(on, "entries swallowed").await;
}

async fn batches_that_vanish(on: On) {
    unwritable(on, "batches swallowed").await;
}

async fn locked_by_another(on: On) {
    let mut stage = stage::on(on, &[]).await;
    let mut report = Report::default();
    let long = Duration::from_secs(5);
    let lock = Lock::hold(stage.sql()).await;
    let began = Instant::now();
    while began.elapsed() < long {
        stage.refused(ALL, &mut report).await;
    }
    lock.release().await;
    stage.recovers(&mut report).await;
    stage.finish(&format!("{on:?}, locked for {long:?}"), report).await;
}

/// What the log is written under, held by another session.
enum Lock {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

impl Lock {
    async fn hold(sql: Sql) -> Self {
        match sql {
            Sql::Sqlite(path) => {
                let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
                sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
                Self::Sqlite(connection)
            }
            Sql::Postgres(url) => {
                let (url, _) = url.split_once('?').unwrap();
                let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
                let statements = "SET idle_in_transaction_session_timeout = 0; SET lock_timeout = 0; BEGIN; \
                                  LOCK TABLE strongroom.audit_batch IN ACCESS EXCLUSIVE MODE";
                sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
                Self::Postgres(connection)
            }
        }
    }

    async fn release(self) {
        match self {
            Self::Sqlite(connection) => connection.close().await.unwrap(),
            Self::Postgres(connection) => connection.close().await.unwrap(),
        }
    }
}

/// A small file system of the test's own, gone with this value.
struct Disk(std::path::PathBuf);

impl Disk {
    fn mount(at: &std::path::Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| Self(at.to_owned()))
    }

    /// Takes all that is left.
    fn fill(&self) {
        let mut filler = std::fs::File::create(self.0.join("filler")).unwrap();
        for size in [65536, 4096, 1] {
            while std::io::Write::write_all(&mut filler, &vec![0; size]).is_ok() {}
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk() {
    let store = Store::fresh(On::Sqlite);
    let Some(disk) = Disk::mount(&store.data_dir(), "4m") else {
        println!("NOT TESTED: a full disk needs a file system of its own, and this user may not mount one");
        return;
    };
    let mut stage = Stage::start(store, &[]).await;
    let mut report = Report::default();
    disk.fill();
    // Space that the store took before may last for a few more.
    let mut last = 0;
    while stage.ask(&stage.warm_read()).await.status == 200 {
        last += 1;
        assert!(last < 10_000, "the disk is full, and entries still find room");
    }
    for _ in 0..3 {
        stage.refused(ALL, &mut report).await;
    }
    disk.empty();
    stage.recovers(&mut report).await;
    stage
        .finish(&format!("a full disk, after {last} more reads"), report)
        .await;
    drop(disk);
}

on_both_stores!(
    tables_renamed,
    inserts_that_fail,
    entries_that_vanish,
    batches_that_vanish,
    locked_by_another
);
