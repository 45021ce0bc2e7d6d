//! `strongroom watch`

use std::time::{Duration, Instant};

use serde_json::json;
use strongroom_api::client::{SILENCE, WatchEvent};
use strongroom_api::watch::{WatchQuery, WatchedChange};
use strongroom_domain::Prefix;
use tokio::time::timeout;

use super::Common;
use super::failure::Failure;
use super::output::{Format, line, note};
use super::session::Session;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Print what changes, as it changes: which names, never what they hold
#[derive(Debug, clap::Args)]
pub struct Watch {
    /// A name, and all below it; none: everything that you may see
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
    /// Changes after this revision too; none: from now on
    #[arg(long, value_name = "REVISION")]
    since: Option<u64>,
}

impl Watch {
    /// Goes on by itself where a stream ended, for as long as somebody reads.
    pub(super) async fn run(self, common: &Common) -> Result<(), Failure> {
        let prefix = Prefix::parse(&self.prefix)?;
        let mut query = WatchQuery {
            since: self.since.map(|since| i64::try_from(since).unwrap_or(i64::MAX)),
            prefix: Some(prefix.as_str().to_owned()).filter(|prefix| !prefix.is_empty()),
            wait: None,
        };
        let (mut session, mut opened, mut pause) = (Session::open(common).await?, false, FIRST_PAUSE);
        loop {
            let began = Instant::now();
            match follow(&session, common.output, &mut query).await {
                // The login may be had anew; a token that was given is refused, and that ends it.
                Ok(Ended::Expired) => session = Session::open(common).await?,
                Ok(Ended::Cut) => opened = true,
                Err(failure) if failure.is_passing() && opened => failure.report(),
                Err(failure) => return Err(failure),
            }
            if began.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

/// How a stream ended.
enum Ended {
    Expired,
    Cut,
}

/// One stream, to its end.
async fn follow(session: &Session, format: Format, query: &mut WatchQuery) -> Result<Ended, Failure> {
    let mut stream = session.client.watch(query).await?;
    loop {
        let Ok(event) = timeout(SILENCE, stream.next()).await else {
            return Ok(Ended::Cut);
        };
        // Also of a stream that broke off, and of what was not for us.
        query.since = stream.last().or(query.since);
        let event = match event {
            Err(error) if error.is_passing() => return Ok(Ended::Cut),
            event => event?,
        };
        match event {
            Some(WatchEvent::Start) => {}
            Some(WatchEvent::Change(change)) => show(format, &change)?,
            Some(WatchEvent::Reset) => missed(format, query.since)?,
            Some(WatchEvent::Expired) => return Ok(Ended::Expired),
            Some(WatchEvent::Lagged) | None => return Ok(Ended::Cut),
        }
    }
}

fn show(format: Format, change: &WatchedChange<'_>) -> Result<(), Failure> {
    match format {
        Format::Table => {
            let version = change.version.map(|version| format!("  version {version}"));
            let text = format!(
                "{}  {}  {}{}",
                change.revision,
                change.action,
                change.path,
                version.unwrap_or_default()
            );
            line(text.as_bytes())
        }
        // A line each, for whoever reads them one by one; JSON is YAML too.
        Format::Json | Format::Yaml => {
            let text = json!({
                "event": "change",
                "revision": change.revision,
                "kind": change.kind,
                "path": change.path,
                "version": change.version,
                "action": change.action,
            });
            line(text.to_string().as_bytes())
        }
    }
}

fn missed(format: Format, revision: Option<i64>) -> Result<(), Failure> {
    note("Changes were missed that are not kept any more: list anew.");
    match format {
        Format::Table => Ok(()),
        Format::Json | Format::Yaml => line(json!({ "event": "reset", "revision": revision }).to_string().as_bytes()),
    }
}
