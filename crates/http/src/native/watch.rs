//! Changes as they happen: a stream of events, or one answer for who asks again and again.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Serialize;
use strongroom_api::watch::{WatchQuery, WatchedChange, WatchedChanges, WatchedUpTo};
use strongroom_broker::{Broker, ChangeRow, Request, Shown, WatchEvent, Watching};
use strongroom_domain::audit::Action;
use strongroom_domain::{Error, Prefix, Revision};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::App;
use crate::answer::{Answer, Failure, ok};
use crate::call::{Asked, Call};

pub(crate) const EVENT_STREAM: &str = "text/event-stream";
pub(crate) const LAST_EVENT_ID: &str = "last-event-id";
/// A stream is never silent for longer, so that both ends learn of a connection that is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a client may leave what it was sent untaken.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often meanwhile is looked whether it still may be sent anything.
const LOOK: Duration = Duration::from_millis(500);
/// Bytes of events that are handed on together.
const FRAME: usize = 8 * 1024;

pub(crate) async fn watch(
    State(app): State<App>,
    Call { broker, request }: Call,
    headers: HeaderMap,
    Asked(query): Asked<WatchQuery>,
) -> Answer {
    let since = last_event(&headers)?.or(query.since);
    if since.is_some_and(|since| since < 0) {
        return Err(Error::invalid("'since' is a revision: 0 or more.").into());
    }
    let asked = strongroom_broker::WatchQuery {
        prefix: Prefix::parse(query.prefix.as_deref().unwrap_or_default())?,
        since: since.map(Revision),
    };
    match query.wait {
        None => stream(app, &broker, &request, asked).await,
        Some(seconds @ 1..=60) => {
            let within = Duration::from_secs(seconds.into());
            tokio::select! {
                () = app.draining.cancelled() => {}
                waited = broker.await_changes(&request, &asked, within) => waited?,
            }
            let page = broker.changes_since(&request, &asked).await?;
            ok(&WatchedChanges {
                revision: page.revision.0,
                changes: page
                    .shown
                    .iter()
                    .flat_map(|shown| shown.rows().filter_map(told))
                    .collect(),
            })
        }
        Some(_) => Err(Error::invalid("'wait' is 1 to 60 seconds.").into()),
    }
}

fn last_event(headers: &HeaderMap) -> Result<Option<i64>, Failure> {
    let read = |value: &HeaderValue| value.to_str().ok().and_then(|text| text.parse().ok());
    match headers.get(LAST_EVENT_ID) {
        None => Ok(None),
        Some(value) if value.is_empty() => Ok(None),
        Some(value) => match read(value) {
            Some(revision) => Ok(Some(revision)),
            None => Err(Error::invalid("'Last-Event-ID' is not one of ours.").into()),
        },
    }
}

fn told(row: &ChangeRow) -> Option<WatchedChange<'_>> {
    let watched = row.watched.as_ref()?;
    Some(WatchedChange {
        revision: row.touch.revision.0,
        kind: watched.kind().into(),
        path: watched.path().into(),
        version: row.touch.version,
        action: Action::from_number(row.touch.action).map_or("", Action::name).into(),
    })
}

/// One event, with the revision to go on from.
fn event(out: &mut String, name: &str, at: i64, data: &impl Serialize) {
    if let Ok(data) = serde_json::to_string(data) {
        let _ = write!(out, "event: {name}\nid: {at}\ndata: {data}\n\n");
    }
}

fn up_to(name: &str, at: Revision) -> String {
    let mut text = String::new();
    event(&mut text, name, at.0, &WatchedUpTo { revision: at.0 });
    text
}

async fn stream(app: App, broker: &Broker, request: &Request, asked: strongroom_broker::WatchQuery) -> Answer {
    let watching = broker.watch(request, asked).await?;
    Ok(streaming(app, watching, Form::Changes))
}

/// How a stream says what changed.
pub(crate) enum Form {
    /// What, and its revision.
    Changes,
    /// OFREP's: that all is to be evaluated anew. Its ids tell by what it goes on when it breaks off.
    Refetch(String),
}

/// What an id of a stream in OFREP's form tells beside the revision.
pub(crate) fn again(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(LAST_EVENT_ID)?.to_str().ok()?;
    id.split_once('.').map(|(_, again)| again)
}

impl Form {
    fn id(&self, at: Revision) -> String {
        match self {
            Self::Changes => at.0.to_string(),
            Self::Refetch(again) => format!("{}.{again}", at.0),
        }
    }

    /// An event that says no more than up to where. OFREP 0.3, ADR 0008, knows one, and begins with it: a browser may have missed
    /// changes since it evaluated.
    fn up_to(&self, name: &str, at: Revision) -> String {
        match self {
            Self::Changes => up_to(name, at),
            Self::Refetch(_) => format!(
                "event: message\nid: {}\ndata: {{\"type\":\"refetchEvaluation\",\"etag\":\"{}\"}}\n\n",
                self.id(at),
                at.0
            ),
        }
    }
}

pub(crate) fn streaming(app: App, watching: Watching, form: Form) -> Response {
    // One frame under way, and room for the last word.
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(Teller::new(app, watching, form, sender).run());
    let frames = unfold(receiver, |mut receiver| async move {
        let frame: Bytes = receiver.recv().await?;
        Some((Ok::<_, Infallible>(frame), receiver))
    });
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    // A proxy that gathers what it passes on would hold events back.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

/// Why a stream ends; the name of its last event, if there is one to tell.
type End = Option<&'static str>;

/// Tells one client, in a task of its own: also one that takes nothing must end.
struct Teller {
    app: App,
    watching: Watching,
    form: Form,
    sender: mpsc::Sender<Bytes>,
    /// All up to here is sent.
    sent: Revision,
}

impl Teller {
    fn new(app: App, watching: Watching, form: Form, sender: mpsc::Sender<Bytes>) -> Self {
        Self {
            app,
            form,
            sent: watching.upto(),
            watching,
            sender,
        }
    }

    async fn run(mut self) {
        if let Err(Some(last)) = self.tell().await {
            if last == "lagged" {
                self.app.metrics.edge.watchers_lagged.inc();
            }
            if matches!(self.form, Form::Changes) {
                self.put(up_to(last, self.sent));
            }
        }
        self.watching.end().await;
    }

    async fn tell(&mut self) -> Result<Infallible, End> {
        self.send(self.form.up_to("start", self.sent)).await?;
        loop {
            let beat = sleep_until(Instant::now() + HEARTBEAT);
            let next = tokio::select! {
                () = self.app.draining.cancelled() => return Err(None),
                () = self.sender.closed() => return Err(None),
                next = self.watching.next() => Some(next),
                () = beat => None,
            };
            match (&next, &self.form) {
                (Some(WatchEvent::Changes(shown)), Form::Changes) => self.send_all(shown).await?,
                (Some(WatchEvent::Changes(_)), Form::Refetch(_)) => {
                    self.send(self.form.up_to("change", self.watching.upto())).await?;
                }
                _ => {}
            }
            self.sent = self.watching.upto();
            match next {
                Some(WatchEvent::Changes(_)) => {}
                Some(WatchEvent::Reset(at)) => self.send(self.form.up_to("reset", at)).await?,
                // With an id and no data it is no event, and what was not shown is not asked for again.
                None => self.send(format!(":\nid: {}\n\n", self.form.id(self.sent))).await?,
                Some(last) => return Err(last_word(&last)),
            }
        }
    }

    async fn send_all(&mut self, shown: &Shown) -> Result<(), End> {
        let mut start = 0;
        loop {
            self.room().await?;
            let mut frame = String::new();
            for (place, row) in self.watching.still(shown, start) {
                if let Some(change) = told(row) {
                    event(&mut frame, "change", change.revision, &change);
                }
                self.sent = row.touch.revision;
                start = place + 1;
                if frame.len() >= FRAME {
                    break;
                }
            }
            if frame.is_empty() {
                return Ok(());
            }
            self.put(frame);
        }
    }

    async fn send(&mut self, frame: String) -> Result<(), End> {
        self.room().await?;
        self.put(frame);
        Ok(())
    }

    /// Nobody else sends: what there was room for is still to be had.
    fn put(&self, frame: String) {
        let _ = self.sender.try_send(frame.into());
    }

    /// Waits until what was sent before is taken.
    async fn room(&mut self) -> Result<(), End> {
        let began = Instant::now();
        loop {
            let room = tokio::select! {
                () = self.app.draining.cancelled() => return Err(None),
                room = timeout(LOOK, self.sender.reserve_many(2)) => room.map(|room| room.is_ok()),
            };
            match room {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(None),
                Err(_) if began.elapsed() >= PATIENCE => return Err(Some("lagged")),
                Err(_) => {
                    if let Some(last) = self.watching.decide().await {
                        return Err(last_word(&last));
                    }
                }
            }
        }
    }
}

fn last_word(last: &WatchEvent) -> End {
    Some(match last {
        WatchEvent::Expired => "expired",
        _ => "lagged",
    })
}
