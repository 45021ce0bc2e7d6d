//! `strongroom rotate`

use std::path::PathBuf;
use std::time::Duration;

use strongroom_api::Page;
use strongroom_api::rotation::{CalendarQuery, Planned, Rotation};
use strongroom_domain::SecretPath;
use strongroom_domain::period::Period;
use strongroom_domain::rotation::{RotationFields, Told};

use super::audit::now;
use super::failure::Failure;
use super::input;
use super::output::{or_dash, table, word};
use super::session::Session;

#[derive(Debug, clap::Subcommand)]
pub enum Rotate {
    /// Say how a secret is rotated, in a JSON file
    ///
    /// It looks like `{"rotator": "generate", "interval": "30d"}`.
    Put {
        path: String,
        /// The file; `-`: stdin
        file: PathBuf,
    },
    /// Show how a secret is rotated, and how far that is
    Get { path: String },
    /// Rotate a secret now
    Now { path: String },
    /// Go back to the version before
    Rollback { path: String },
    /// Begin no rotation until it is resumed
    Pause { path: String },
    /// Go on with what was paused, or stopped by a failure
    Resume { path: String },
    /// List the rotations
    List,
    /// Show when secrets are to be rotated
    Plan {
        /// How far ahead
        #[arg(long, default_value = "30d", value_name = "TIME")]
        within: String,
    },
    /// Rotate a secret no more
    Delete { path: String },
}

impl Rotate {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        match self {
            Self::Put { path, file } => {
                let fields: RotationFields = input::json(&file)?;
                let rotation = client.write_rotation(&SecretPath::parse(&path)?, &fields).await?;
                output.show(&rotation, || rows([&rotation]))
            }
            Self::Get { path } => {
                let rotation = client.rotation(&SecretPath::parse(&path)?).await?;
                output.show(&rotation, || rows([&rotation]))
            }
            Self::Now { path } => tell(session, &path, Told::Rotate).await,
            Self::Rollback { path } => tell(session, &path, Told::Rollback).await,
            Self::Pause { path } => tell(session, &path, Told::Pause).await,
            Self::Resume { path } => tell(session, &path, Told::Resume).await,
            Self::List => {
                let page = all(session, CalendarQuery::default()).await?;
                output.show(&page, || rows(page.items.iter().map(|planned| &planned.rotation)))
            }
            Self::Plan { within } => {
                let query = CalendarQuery {
                    to: Some(now() + Duration::from(Period::parse(&within)?)),
                    ..CalendarQuery::default()
                };
                let page = all(session, query).await?;
                output.show(&page, || plan(&page.items))
            }
            Self::Delete { path } => {
                client.delete_rotation(&SecretPath::parse(&path)?).await?;
                output.done(&format!("{path} is rotated no more."))
            }
        }
    }
}

async fn all(session: &Session, mut query: CalendarQuery) -> Result<Page<Planned>, Failure> {
    let mut all = Page {
        items: Vec::new(),
        next_cursor: None,
    };
    loop {
        let page = session.client.rotations(&query).await?;
        all.items.extend(page.items);
        if page.next_cursor.is_none() {
            return Ok(all);
        }
        query.cursor = page.next_cursor;
    }
}

async fn tell(session: &Session, path: &str, told: Told) -> Result<(), Failure> {
    let Session { client, output } = session;
    let rotation = client.tell_rotation(&SecretPath::parse(path)?, told).await?;
    output.show(&rotation, || rows([&rotation]))?;
    match rotation.run.and_then(|run| run.failure) {
        // What was asked for did not come about.
        Some(_) if matches!(told, Told::Rotate | Told::Rollback) => Err(Failure::check_failed()),
        _ => Ok(()),
    }
}

fn state(rotation: &Rotation) -> String {
    let Some(run) = &rotation.run else {
        return if rotation.paused { "paused" } else { "waiting" }.to_owned();
    };
    match &run.failure {
        Some(failure) if failure.permanent => format!("stopped: {}", failure.reason),
        Some(failure) => format!("failing: {}", failure.reason),
        None => word(&run.step),
    }
}

fn rows<'a>(rotations: impl IntoIterator<Item = &'a Rotation>) -> String {
    let rows = rotations.into_iter().map(|rotation| {
        [
            rotation.path.clone(),
            rotation.policy.rotator.name().to_owned(),
            rotation.version.to_string(),
            or_dash(rotation.rotated_at),
            rotation.next_at.to_string(),
            state(rotation),
        ]
    });
    table(["PATH", "ROTATOR", "VERSION", "ROTATED", "NEXT", "STATE"], rows)
}

fn plan(planned: &[Planned]) -> String {
    let runs = planned.iter().flat_map(|planned| {
        let rotation = &planned.rotation;
        planned.planned.iter().map(move |at| (*at, rotation))
    });
    let mut runs: Vec<_> = runs.collect();
    runs.sort_by(|a, b| (a.0, &a.1.path).cmp(&(b.0, &b.1.path)));
    let rows = runs.into_iter().map(|(at, rotation)| {
        [
            at.to_string(),
            rotation.path.clone(),
            rotation.policy.rotator.name().to_owned(),
        ]
    });
    table(["AT", "PATH", "ROTATOR"], rows)
}
