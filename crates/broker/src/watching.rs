//! Watching: which names changed, for whoever may see them, never what they hold.

mod seer;

pub(crate) use seer::Wanted;

use std::time::Duration;

use strongroom_domain::audit::{Action, Lane};
use strongroom_domain::{Code, Error, Prefix, Result, Revision};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout};

use crate::Broker;
use crate::feed::{ChangeRow, Changes, FRESH, Follower, PAGE, Passed};
use crate::lanes::Ground;
use crate::record::{Effect, Served};
use crate::request::Request;
use seer::Seer;

const DECIDE_AGAIN: Duration = Duration::from_millis(50);
const READ_AGAIN: Duration = Duration::from_millis(500);
/// Of a token that does not expire.
const FOR_LONG: Duration = Duration::from_hours(24);

/// What a watcher asks for.
#[derive(Debug, Clone)]
pub struct WatchQuery {
    /// A name, and all below it.
    pub prefix: Prefix,
    /// The revision after which changes are wanted; none: from now on.
    pub since: Option<Revision>,
}

/// Changes that the caller may see, as of a decision.
#[derive(Debug)]
pub struct Shown {
    changes: Changes,
    places: Vec<usize>,
    decided_at: Revision,
}

impl Shown {
    pub fn rows(&self) -> impl Iterator<Item = &ChangeRow> {
        let rows = self.changes.rows();
        self.places.iter().filter_map(|place| rows.get(*place))
    }
}

/// What a watcher is told next.
#[derive(Debug)]
pub enum WatchEvent {
    Changes(Shown),
    /// Changes were missed that are not kept: all is to be listed anew. It goes on from this revision.
    Reset(Revision),
    /// The last one: what it rested on holds no more.
    Expired,
    /// The last one: it could not be said in time whether that still holds.
    Lagged,
}

/// A page of changes for one answer.
#[derive(Debug)]
pub struct ChangePage {
    /// Up to which nothing is missing.
    pub revision: Revision,
    pub shown: Vec<Shown>,
}

/// Whether whoever is refused so has lost the right, and it is not that nobody can tell.
fn ends(code: Code) -> bool {
    matches!(code, Code::Unauthenticated | Code::PermissionDenied | Code::NotFound)
}

pub struct Watching {
    broker: Broker,
    request: Request,
    wanted: Wanted,
    seer: Seer,
    follower: Follower,
    /// Given by the follower, and not decided about yet.
    pending: Option<Passed>,
    /// All up to here was told, or was not to be.
    upto: Revision,
    _place: OwnedSemaphorePermit,
}

impl std::fmt::Debug for Watching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watching up to {:?}", self.upto)
    }
}

impl Watching {
    /// The revision up to which all was told.
    pub fn upto(&self) -> Revision {
        self.upto
    }

    /// Of what was to be told those from the `start`th on that may be seen still, for whoever had to wait meanwhile.
    pub fn still<'a>(&'a self, shown: &'a Shown, start: usize) -> impl Iterator<Item = (usize, &'a ChangeRow)> {
        let same = shown.decided_at == self.seer.decided_at;
        let rows = shown.rows().enumerate().skip(start);
        rows.filter(move |(_, row)| same || self.seer.sees(&self.broker, &self.wanted, row))
    }

    /// Waits for what is to be told next. One that was dropped while it waited has missed nothing.
    pub async fn next(&mut self) -> WatchEvent {
        loop {
            if let Some(passed) = &self.pending {
                let (mut decide, top) = match passed {
                    Passed::Changes(changes) => {
                        let session = &self.seer.session;
                        let moved = changes.touch_any(&session.rests_on, self.seer.decided_at);
                        (moved || self.follower.is_behind(), changes.top())
                    }
                    Passed::Anew(at) => (true, *at),
                };
                // A node that was paused or cut off asks first what became of the right to see this.
                let feed = &self.broker.0.feed;
                if !feed.is_fresh() {
                    let _ = timeout(self.remains(), feed.fresh()).await;
                    decide = true;
                }
                if decide && let Some(last) = self.decide().await {
                    return last;
                }
                self.upto = top;
                match self.pending.take() {
                    Some(Passed::Changes(changes)) => {
                        let shown = self.seer.shown(&self.broker, &self.wanted, changes);
                        if !shown.places.is_empty() {
                            return WatchEvent::Changes(shown);
                        }
                    }
                    _ => return WatchEvent::Reset(top),
                }
            }
            let expiry = sleep(self.remains());
            tokio::select! {
                passed = self.follower.next() => match passed {
                    Ok(passed) => self.pending = Some(passed),
                    // The database is away: nothing is shown, and what comes later is not missed.
                    Err(_) => sleep(READ_AGAIN).await,
                },
                () = expiry => {
                    if let Some(last) = self.decide().await {
                        return last;
                    }
                }
            }
        }
    }

    /// Until the token expires, by the database's clock.
    fn remains(&self) -> Duration {
        let now = self.broker.0.clock.now();
        let until = self.seer.session.expires_at;
        until.map_or(FOR_LONG, |at| at.since(now).saturating_add(Duration::from_millis(1)))
    }

    /// Decides anew, within the time in which a stream whose right is gone must end; what ends it, if anything.
    pub async fn decide(&mut self) -> Option<WatchEvent> {
        let decided = timeout(FRESH, async {
            loop {
                match self.broker.seer(&self.request, &self.wanted).await {
                    Ok(seer) => return Some(seer),
                    Err(error) if ends(error.code) => return None,
                    Err(_) => sleep(DECIDE_AGAIN).await,
                }
            }
        });
        match decided.await {
            Ok(Some(seer)) => {
                self.seer = seer;
                None
            }
            Ok(None) => Some(WatchEvent::Expired),
            Err(_) => Some(WatchEvent::Lagged),
        }
    }

    /// Puts on record up to where it watched.
    pub async fn end(self) {
        let effect = Effect {
            version: Some(self.upto.0),
            ..Effect::new(Action::WatchEnd, self.wanted.about())
        };
        let note = self.broker.note(&self.request, Some(&self.seer.session), effect, None);
        // It shows nothing: nothing can move under it.
        let ground = Ground {
            decided_at: self.broker.0.node.revision(),
            session: None,
            objects: Vec::new(),
            until: None,
            manifest: None,
        };
        let recorded = match note {
            Ok(note) => self.broker.0.lanes.record(Lane::Reads, note, ground).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = recorded {
            tracing::warn!(?error, "the end of a watch was not put on record");
        }
    }
}

impl Broker {
    /// Who asks, as of now: nothing is recorded, and nothing used up.
    async fn seer(&self, request: &Request, wanted: &Wanted) -> Result<Seer> {
        self.stand().await?;
        let decided_at = self.0.node.revision();
        let session = self.session_of(request).await?;
        let from = session.whence(&request.source);
        wanted.may_watch(&session, from)?;
        Ok(Seer {
            session,
            from,
            decided_at,
        })
    }

    fn place(&self) -> Result<OwnedSemaphorePermit> {
        let place = self.0.feed.places.clone().try_acquire_owned();
        place.map_err(|_| Error::new(Code::Overloaded, "As many watch on this node as may: 'watch.streams'."))
    }

    /// Begins to watch. That is on record before anything is told, and so is its end.
    pub async fn watch(&self, request: &Request, query: WatchQuery) -> Result<Watching> {
        let place = self.place()?;
        let wanted = &Wanted::Names(query.prefix.clone());
        let (follower, seer) = self
            .serve(
                request,
                Action::WatchStart,
                query.prefix.as_str(),
                |attempt| async move {
                    wanted.may_watch(&attempt.session, attempt.from)?;
                    let follower = self.changes(query.since).await?;
                    let at = follower.at().0;
                    let seer = Seer {
                        session: attempt.session,
                        from: attempt.from,
                        decided_at: attempt.decided_at,
                    };
                    Ok(Served {
                        version: Some(at),
                        ..Served::fresh((follower, seer))
                    })
                },
            )
            .await?;
        Ok(self.watching(request, wanted.clone(), seer, follower, place))
    }

    /// The same, for who puts the start on record itself.
    pub(crate) async fn begin_watching(&self, request: &Request, wanted: Wanted) -> Result<Watching> {
        let place = self.place()?;
        let seer = self.seer(request, &wanted).await?;
        let follower = self.changes(None).await?;
        Ok(self.watching(request, wanted, seer, follower, place))
    }

    fn watching(
        &self,
        request: &Request,
        wanted: Wanted,
        seer: Seer,
        follower: Follower,
        place: OwnedSemaphorePermit,
    ) -> Watching {
        Watching {
            broker: self.clone(),
            request: request.clone(),
            wanted,
            seer,
            upto: follower.at(),
            follower,
            pending: None,
            _place: place,
        }
    }

    /// Whether it is time to answer: something that the caller may see has changed, or the answer is not to be waited for.
    pub async fn await_changes(&self, request: &Request, query: &WatchQuery, within: Duration) -> Result<()> {
        let place = self.place()?;
        if query.since.is_none() {
            return Ok(());
        }
        let wanted = Wanted::Names(query.prefix.clone());
        let (Ok(seer), Ok(follower)) = (self.seer(request, &wanted).await, self.changes(query.since).await) else {
            // What stands in its way is decided with the answer, and on record.
            return Ok(());
        };
        let mut watching = self.watching(request, wanted, seer, follower, place);
        let _ = timeout(within, watching.next()).await;
        Ok(())
    }

    /// What changed since, as far as one answer holds it.
    pub async fn changes_since(&self, request: &Request, query: &WatchQuery) -> Result<ChangePage> {
        let wanted = &Wanted::Names(query.prefix.clone());
        self.serve(
            request,
            Action::WatchRead,
            query.prefix.as_str(),
            |attempt| async move {
                wanted.may_watch(&attempt.session, attempt.from)?;
                let mut follower = self.changes(query.since).await?;
                let seer = Seer {
                    session: attempt.session,
                    from: attempt.from,
                    decided_at: attempt.decided_at,
                };
                let (began, mut shown, mut held) = (Instant::now(), Vec::new(), 0);
                // An answer that takes long to fill is given as far as it came.
                while follower.is_behind()
                    && held < usize::from(PAGE)
                    && began.elapsed() < self.0.settings.audit_deadline
                {
                    match follower.page().await? {
                        Some(Passed::Changes(changes)) => {
                            let page = seer.shown(self, wanted, changes);
                            held += page.places.len();
                            shown.push(page);
                        }
                        Some(Passed::Anew(_)) => return Err(Error::from(Code::RevisionTooOld)),
                        None => {}
                    }
                }
                let revision = follower.at();
                Ok(Served {
                    version: Some(revision.0),
                    ..Served::fresh(ChangePage { revision, shown })
                })
            },
        )
        .await
    }
}
