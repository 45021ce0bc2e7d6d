//! `operator doctor`: what is wrong with an installation, or soon will be, and what to run next.

mod certificate;
mod disk;

use std::os::unix::fs::MetadataExt as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use strongroom_api::client::Client;
use strongroom_api::control::{CheckKey, KeyChecked};
use strongroom_broker::{LIFT, extent, look};
use strongroom_domain::{SlotMethod, Time};
use strongroom_ports::{Clock as _, Store};

use super::Opening;
use super::console::running;
use super::init;
use crate::client::failure::{CHECK_FAILED, Failure};
use crate::client::output::{Output, table};
use crate::config::{Config, SecretSource, StoreChoice};
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

const LOST_KEY: &str = "Name the root key with 'root_key_file'; if it is lost, let another one in: 'strongroom operator slots add' \
                        with '--recovery-key-file FILE', or while a server still runs without any key.";

const FREE: &str = "Work at systems outside is not held.";

impl Doctor {
    pub(super) async fn run(self, config: &Config, output: &Output) -> Result<ExitCode, Failure> {
        let mut findings = Findings::default();
        match running(config).await? {
            Some(client) => of_running(config, &client, &mut findings).await,
            None => of_store(config, &mut findings).await,
        }
        certificate::check(config, SystemClock::start().now(), &mut findings);
        key_files(config, &mut findings);
        output.show(&findings, || findings.text())?;
        let failed = findings.findings.iter().any(|finding| finding.state == State::Failed);
        Ok(ExitCode::from(if failed { CHECK_FAILED } else { 0 }))
    }
}

/// A server holds the store: it is asked, by its control socket.
async fn of_running(config: &Config, client: &Client, findings: &mut Findings) {
    findings.ok("server", "A server runs on this data directory.");
    match client.ready().await {
        Ok(told) if told.ready => {
            findings.ok("ready", "It is ready.");
            match told.warnings.as_slice() {
                [] => findings.ok("outside", FREE),
                warnings => findings.warn(
                    "outside",
                    warnings.join(" "),
                    "See 'work outside is held' in the runbook.",
                ),
            }
        }
        Ok(told) => findings.fail(
            "ready",
            told.problems.join(" "),
            "See the server's log, and the runbook.",
        ),
        Err(error) => findings.fail("ready", error.to_string(), "Restart the server; see its log."),
    }
    match client.slots().await {
        Ok(slots) => key_slots(slots.items.iter().map(|slot| slot.method), findings),
        Err(error) => findings.fail("key slots", error.to_string(), "See the server's log."),
    }
    running_key(config, client, findings).await;
    match client.metrics().await {
        Ok(text) => {
            metrics(&text, config.settings.audit_queue, findings);
            let extent =
                value(&text, "strongroom_store_bytes").zip(value(&text, "strongroom_log_start_timestamp_seconds"));
            let (bytes, since) = extent.unwrap_or_default();
            disk::check(config, bytes, (since > 0.0).then(|| time(since)), findings);
        }
        Err(error) => findings.fail("audit queue", error.to_string(), "See the server's log."),
    }
}

/// A server goes on without its key, until it is to start again.
async fn running_key(config: &Config, client: &Client, findings: &mut Findings) {
    let (method, key) = match super::unlock_source(config).map(|source| (source.method, source.text())) {
        Ok((method, Ok(key))) => (method, key),
        Ok((_, Err(says))) => return findings.fail("key", says, LOST_KEY),
        Err(_) => {
            return findings.warn(
                "key",
                "None is named: whether the server could start again is not known.",
                "Name the root key with 'root_key_file'.",
            );
        }
    };
    match client.check_key(&CheckKey { method, key }).await {
        Ok(KeyChecked { opens: true }) => findings.ok("key", format!("The {method} opens the installation.")),
        Ok(KeyChecked { opens: false }) => {
            findings.fail("key", format!("The {method} does not open the installation."), LOST_KEY);
        }
        Err(error) => findings.fail("key", error.to_string(), LOST_KEY),
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
        #[expect(clippy::cast_precision_loss, reason = "told to the nearest mebibyte")]
        Ok(extent) => disk::check(config, extent.bytes as f64, extent.since, findings),
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
    let unlock = match super::unlock_source(config).map(|source| source.read()) {
        Ok(Ok(unlock)) => unlock,
        Ok(Err(says)) => return findings.fail("key", says, LOST_KEY),
        Err(_) => return findings.fail("key", "No key is named.", LOST_KEY),
    };
    match look(store, now, &unlock).await {
        Ok(looked) => {
            findings.ok("key", format!("The {} opens the installation.", unlock.method()));
            key_slots(looked.slots, findings);
            match looked.held_since {
                None => findings.ok("outside", FREE),
                Some(since) => findings.warn(
                    "outside",
                    format!("Since a restore at {since} nothing is done at systems outside."),
                    LIFT,
                ),
            }
            clock(now, looked.db_now, findings);
        }
        Err(error) => findings.fail(
            "key",
            error.detail,
            "Compare 'root_key_file' and the database that are configured; another key opens with '--recovery-key-file FILE'.",
        ),
    }
}

fn key_files(config: &Config, findings: &mut Findings) {
    let unlock = config.unlock.as_ref().and_then(|unlock| match &unlock.from {
        SecretSource::File(path) => Some(path),
        SecretSource::Value(_) => None,
    });
    for path in unlock.into_iter().chain(config.tls.as_ref().map(|tls| &tls.key)) {
        if std::fs::metadata(path).is_ok_and(|found| found.mode() & 0o077 != 0) {
            let path = path.display();
            findings.warn(
                "key file",
                format!("Others can read {path}."),
                format!("Run 'chmod 600 {path}', unless the platform that mounts it keeps them away."),
            );
        }
    }
}

fn key_slots(slots: impl IntoIterator<Item = SlotMethod>, findings: &mut Findings) {
    let slots: Vec<SlotMethod> = slots.into_iter().collect();
    match slots.as_slice() {
        [SlotMethod::Recovery] => findings.warn(
            "key slots",
            "The recovery key alone opens the installation: no server can start by its root key.",
            "Run 'strongroom operator slots add root --method file --key-file FILE', with '--recovery-key-file FILE'.",
        ),
        [_] => findings.warn(
            "key slots",
            "One key opens the installation: if it is lost, so is everything.",
            "Run 'strongroom operator slots add safe --method recovery', and lock away what it shows.",
        ),
        slots => findings.ok("key slots", format!("{} keys open the installation.", slots.len())),
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
    let listen = match (config.metrics_listen, &config.tls) {
        (Some(listen), _) => listen,
        (None, None) => config.listen,
        // Its certificate is for the name that clients use, and that is not known here.
        (None, Some(_)) => {
            return findings.ok("server", "Not asked: it speaks HTTPS. With 'metrics_listen' it can be.");
        }
    };
    let text = match Client::new(&format!("http://{listen}"), None) {
        Ok(client) => client.metrics().await,
        Err(error) => Err(error),
    };
    match text {
        Ok(text) => {
            findings.ok(
                "server",
                format!("A server answers on {listen}; what follows is told by it."),
            );
            metrics(&text, config.settings.audit_queue, findings);
        }
        Err(_) => findings.ok("server", format!("None of ours answers on {listen}.")),
    }
}

/// What a running server's metrics tell.
fn metrics(text: &str, bound: usize, findings: &mut Findings) {
    let Some(fullest) = values(text, "strongroom_audit_queue{").reduce(f64::max) else {
        return findings.fail(
            "audit queue",
            "The metrics say nothing of it.",
            "Is another program on that address?",
        );
    };
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
    let newest = value(text, "strongroom_backup_last_success_timestamp_seconds").unwrap_or_default();
    if newest > 0.0 {
        findings.ok("backup", format!("The last one is of {}.", time(newest)));
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

fn value(text: &str, name: &str) -> Option<f64> {
    values(text, name).next()
}

#[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
fn time(seconds: f64) -> Time {
    Time((seconds * 1e6) as i64)
}
