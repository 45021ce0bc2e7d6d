//! `operator doctor`: what is wrong with an installation, or soon will be, and what to run next.

mod disk;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use strongroom_api::client::Client;
use strongroom_api::control;
use strongroom_broker::{Extent, extent, look};
use strongroom_domain::Time;
use strongroom_ports::{Clock as _, Store};

use super::Opening;
use super::console::running;
use super::init;
use crate::client::failure::{CHECK_FAILED, Failure};
use crate::client::output::{Output, table};
use crate::config::{Config, StoreChoice};
use crate::system::SystemClock;
use crate::wiring::open_store;

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(super) opening: Opening,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    /// Not wrong yet.
    Warning,
    Failed,
}

#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct Findings {
    findings: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, check: &'static str, state: State, says: impl Into<String>, next: Option<String>) {
        self.findings.push(Finding {
            check,
            state,
            says: says.into(),
            next,
        });
    }

    fn ok(&mut self, check: &'static str, says: impl Into<String>) {
        self.add(check, State::Ok, says, None);
    }

    fn warn(&mut self, check: &'static str, says: impl Into<String>, next: impl Into<String>) {
        self.add(check, State::Warning, says, Some(next.into()));
    }

    fn fail(&mut self, check: &'static str, says: impl Into<String>, next: impl Into<String>) {
        self.add(check, State::Failed, says, Some(next.into()));
    }

    fn text(&self) -> String {
        let row = |finding: &Finding| {
            let state = match finding.state {
                State::Ok => "ok",
                State::Warning => "warning",
                State::Failed => "FAILED",
            };
            [finding.check.to_owned(), state.to_owned(), finding.says.clone()]
        };
        let mut text = table(["CHECK", "STATE", "FOUND"], self.findings.iter().map(row));
        for finding in &self.findings {
            if let Some(next) = &finding.next {
                text.extend(["\n", finding.check, ": ", next]);
            }
        }
        text
    }
}

/// A clock that is further off than this decides expiry wrongly.
const MAX_SKEW: Duration = Duration::from_secs(1);

impl Doctor {
    pub(super) async fn run(self, config: &Config, output: &Output) -> Result<ExitCode, Failure> {
        let mut findings = Findings::default();
        match running(config).await? {
            Some(client) => of_running(config, &client, &mut findings).await,
            None => of_store(config, &mut findings).await,
        }
        output.show(&findings, || findings.text())?;
        let failed = findings.findings.iter().any(|finding| finding.state == State::Failed);
        Ok(ExitCode::from(if failed { CHECK_FAILED } else { 0 }))
    }
}

/// A server holds the store: it is asked, by its control socket.
async fn of_running(config: &Config, client: &Client, findings: &mut Findings) {
    findings.ok("server", "A server runs on this data directory.");
    match client.ready().await {
        Ok(told) if told.ready => findings.ok("ready", "It is ready."),
        Ok(told) => findings.fail(
            "ready",
            told.problems.join(" "),
            "See the server's log, and the runbook.",
        ),
        Err(error) => findings.fail("ready", error.to_string(), "Restart the server; see its log."),
    }
    match client.slots().await {
        Ok(slots) => key_slots(slots.items.len(), findings),
        Err(error) => findings.fail("key slots", error.to_string(), "See the server's log."),
    }
    if let Ok(text) = client.page("/metrics").await {
        metrics(&text, config.settings.audit_queue, findings);
    }
    match client.extent().await {
        Ok(extent) => disk::check(config, extent, findings),
        Err(error) => findings.fail("disk", error.to_string(), "See the server's log."),
    }
}

async fn of_store(config: &Config, findings: &mut Findings) {
    let store = match open_store(&config.store).await {
        Ok(store) => store,
        Err(says) => {
            return findings.fail(
                "store",
                says,
                "Do what it says, then run 'strongroom operator doctor' again.",
            );
        }
    };
    findings.ok("store", "It opens; its schema and settings are as they must be.");
    let now = SystemClock::start().now();
    key(config, &store, now, findings).await;
    match extent(&store, now).await {
        Ok(Extent { bytes, since }) => disk::check(config, control::Extent { bytes, since }, findings),
        Err(error) => findings.fail("disk", error.detail, "Check the database and its log."),
    }
    if let StoreChoice::Postgres(_) = &config.store {
        nodes(config, findings).await;
    }
}

async fn key(config: &Config, store: &Arc<dyn Store>, now: Time, findings: &mut Findings) {
    if init::initialised(store).await == Ok(false) {
        return findings.fail(
            "key",
            "The store is not initialised.",
            "Run 'strongroom operator init'.",
        );
    }
    let unlock = match super::unlock(config) {
        Ok(unlock) => unlock,
        Err(says) => {
            return findings.fail(
                "key",
                says,
                "Name the root key with 'root_key_file'; if it is lost, open with '--recovery-key-file FILE'.",
            );
        }
    };
    match look(store, now, &unlock).await {
        Ok(looked) => {
            findings.ok("key", format!("The {} opens the installation.", unlock.method()));
            key_slots(looked.slots, findings);
            clock(now, looked.db_now, findings);
        }
        Err(error) => findings.fail(
            "key",
            error.detail,
            "Compare 'root_key_file' and the database that are configured; another key opens with '--recovery-key-file FILE'.",
        ),
    }
}

fn key_slots(slots: usize, findings: &mut Findings) {
    if slots > 1 {
        findings.ok("key slots", format!("{slots} keys open the installation."));
    } else {
        findings.warn(
            "key slots",
            "One key opens the installation: if it is lost, so is everything.",
            "Run 'strongroom operator slots add safe --method recovery', and lock away what it shows.",
        );
    }
}

/// The embedded store's own time is the highest that was ever used; the database's is its server's.
fn clock(now: Time, db_now: Time, findings: &mut Findings) {
    let apart = db_now.since(now).max(now.since(db_now));
    let says = format!("This machine and the store are {:.1} s apart.", apart.as_secs_f64());
    if apart <= MAX_SKEW {
        findings.ok("clock", says);
    } else {
        findings.warn(
            "clock",
            says,
            "Set both clocks by NTP ('timedatectl set-ntp true'). Nodes go by the store's time meanwhile.",
        );
    }
}

/// The nearest node, if one listens where the configuration says.
async fn nodes(config: &Config, findings: &mut Findings) {
    let listen = config.metrics_listen.unwrap_or(config.listen);
    let text = match Client::new(&format!("http://{listen}"), None) {
        Ok(client) => client.page("/metrics").await,
        Err(error) => Err(error),
    };
    match text {
        Ok(text) => {
            findings.ok("server", format!("A server answers on {listen}."));
            metrics(&text, config.settings.audit_queue, findings);
        }
        Err(_) => findings.ok("server", format!("None answers on {listen}.")),
    }
}

/// What a running server's metrics tell.
fn metrics(text: &str, bound: usize, findings: &mut Findings) {
    let fullest = values(text, "strongroom_audit_queue{").fold(0.0, f64::max);
    let says = format!("At most {fullest} requests wait in a lane, of {bound}.");
    #[expect(clippy::cast_precision_loss, reason = "a bound of a million is exact")]
    if fullest * 2.0 > bound as f64 {
        findings.warn(
            "audit queue",
            says,
            "The database is slower than the requests: see 'audit stuck' in the runbook.",
        );
    } else {
        findings.ok("audit queue", says);
    }
    let newest = values(text, "strongroom_backup_last_success_timestamp_seconds ").fold(0.0, f64::max);
    #[expect(clippy::cast_possible_truncation, reason = "a time in microseconds")]
    if newest > 0.0 {
        let at = Time((newest * 1e6) as i64);
        findings.ok("backup", format!("The last one is of {at}."));
    } else {
        findings.warn(
            "backup",
            "There is none by 'operator backup' yet.",
            "Run 'strongroom operator backup FILE', and keep the file elsewhere.",
        );
    }
}

fn values<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = f64> + 'a {
    let lines = text.lines().filter(move |line| line.starts_with(start));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse().ok())
}
