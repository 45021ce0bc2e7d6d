//! How a verb is served: decide, record, and answer only when the record is durable and the ground has not moved.

use std::net::IpAddr;
use std::sync::Arc;

use strongroom_crypto::audit_identity;
use strongroom_domain::access::Access;
use strongroom_domain::audit::{Action, Class, Entry, Lane, OutcomeKind};
use strongroom_domain::row::Key;
use strongroom_domain::{Change, Code, Digest, Error, Result, Revision, Time, Write};

use crate::Broker;
use crate::lanes::{Ground, Noted, Recorded};
use crate::locks::Held;
use crate::request::Request;
use crate::session::Session;
use crate::stats::count;

/// How often an answer whose ground moved is decided again.
const ATTEMPTS: usize = 3;

/// One go at a request: who asks, and the revision its decisions rest on.
#[derive(Clone)]
pub(crate) struct Attempt {
    /// Whether nothing was tried before.
    pub(crate) first: bool,
    pub(crate) session: Arc<Session>,
    /// From where it comes, where that matters.
    pub(crate) from: Option<IpAddr>,
    pub(crate) decided_at: Revision,
    pub(crate) now: Time,
}

impl Attempt {
    pub(crate) fn authorise(&self, access: Access<'_>) -> Result<()> {
        self.session.authorise(access, self.from)
    }

    /// Whether a listing shows this name.
    pub(crate) fn shows(&self, folder: &str, path: &str) -> bool {
        self.session.shows(folder, path, self.from)
    }
}

/// What a read found.
pub(crate) struct Served<T> {
    /// A refusal can rest on cached objects as an answer can.
    pub(crate) answer: Result<T>,
    /// What the entry says it was about, where the request's own word is not to stand there.
    pub(crate) about: Option<String>,
    pub(crate) version: Option<i64>,
    /// The cached objects the answer rests on.
    pub(crate) objects: Vec<Key>,
    /// When the answer stops being right by itself.
    pub(crate) until: Option<Time>,
}

impl<T> Served<T> {
    /// Read from the store after the request arrived: no change before that can be missing.
    pub(crate) fn fresh(answer: T) -> Self {
        Self {
            answer: Ok(answer),
            about: None,
            version: None,
            objects: Vec::new(),
            until: None,
        }
    }
}

impl<T> Served<T> {
    /// What was read by the node's memory of these: were they changed meanwhile, it is read again.
    pub(crate) fn resting_on(objects: Vec<Key>, answer: T) -> Self {
        Self {
            objects,
            ..Self::fresh(answer)
        }
    }
}

/// What an entry says of one effect.
#[derive(Debug, Clone)]
pub(crate) struct Effect {
    pub(crate) action: Action,
    pub(crate) path: String,
    pub(crate) version: Option<i64>,
    pub(crate) digest: Option<Digest>,
}

impl Effect {
    pub(crate) fn new(action: Action, path: impl Into<String>) -> Self {
        Self {
            action,
            path: path.into(),
            version: None,
            digest: None,
        }
    }
}

/// Longer than any path or name.
const LONGEST: usize = 1_024;

/// What stands in an entry is sometimes as somebody said it, and one entry that a store cannot keep fails its whole batch.
fn storable(said: String) -> String {
    if said.len() <= LONGEST && !said.contains('\0') {
        return said;
    }
    said[..said.floor_char_boundary(LONGEST)].replace('\0', "\u{fffd}")
}

/// Failures of our own are not accesses: nothing was shown, and no entry could be made of some of them.
pub(crate) fn is_recorded(code: Code) -> bool {
    !matches!(
        code,
        Code::StoreUnavailable
            | Code::AuditUnavailable
            | Code::OutcomeUnknown
            | Code::Unsettled
            | Code::Overloaded
            | Code::RateLimited
            | Code::LoginDelayed
            | Code::Internal
            | Code::DeadlineExceeded
            | Code::GrantsPutBack
    )
}

impl Broker {
    /// Serves a read: `work` authorises and reads.
    pub(crate) async fn serve<T, F: Future<Output = Result<Served<T>>> + Send>(
        &self,
        request: &Request,
        action: Action,
        path: &str,
        work: impl Fn(Attempt) -> F,
    ) -> Result<T> {
        let mut turn = None;
        for attempt in 0..ATTEMPTS {
            self.stand().await?;
            let decided_at = self.0.node.revision();
            let (session, done) = match self.caller(request, &mut turn).await {
                Err(error) => (None, Err(error)),
                Ok(session) => {
                    let attempt = Attempt {
                        first: attempt == 0,
                        from: session.whence(&request.source),
                        session: session.clone(),
                        decided_at,
                        now: self.0.clock.now(),
                    };
                    (Some(session), work(attempt).await)
                }
            };
            let (about, version, objects, until, done) = match done {
                Ok(served) => (
                    served.about,
                    served.version,
                    served.objects,
                    served.until,
                    served.answer,
                ),
                Err(error) => (None, None, Vec::new(), None, Err(error)),
            };
            if let Err(error) = &done
                && !is_recorded(error.code)
            {
                return done;
            }
            let ground = Ground {
                decided_at,
                session: session.clone(),
                objects,
                until,
                manifest: None,
            };
            if action.is_counted() && done.is_ok() && session.as_ref().is_some_and(|session| !session.is_counted()) {
                if self.0.lanes.holds(ground).await? {
                    return done;
                }
                continue;
            }
            let effect = Effect {
                version,
                ..Effect::new(action, about.as_deref().unwrap_or(path))
            };
            let note = self.note(request, session.as_deref(), effect, done.as_ref().err())?;
            let lane = if note.entry.class() == Class::Reads {
                Lane::Reads
            } else {
                Lane::Events
            };
            let spent = self.spends(session.as_deref())?;
            if let Recorded::Committed(entry) = self.record_with(lane, note, spent, ground).await? {
                return done.map_err(|refusal| refusal.entered(entry));
            }
        }
        Err(Error::from(Code::Unsettled))
    }

    /// Who asks. Of a token that is counted one use at a time: the next is decided on what this one leaves.
    pub(crate) async fn caller(&self, request: &Request, turn: &mut Option<Held>) -> Result<Arc<Session>> {
        let session = self.authenticate(request).await?;
        match &session.token {
            Some(token) if session.is_counted() && turn.is_none() => {
                let hold = self.0.locks.hold(vec![token.record.key()]);
                *turn = Some(Box::pin(hold).await);
                Box::pin(self.authenticate(request)).await
            }
            _ => Ok(session),
        }
    }

    /// Makes an entry durable, and with it what the access uses up.
    pub(crate) async fn record_with(
        &self,
        lane: Lane,
        note: Noted,
        writes: Vec<Write>,
        ground: Ground,
    ) -> Result<Recorded> {
        if writes.is_empty() {
            return self.0.lanes.record(lane, note, ground).await;
        }
        // No cache sees it.
        let change = Change {
            writes,
            touches: Vec::new(),
        };
        // Boxed, as all that is rare on a read's way.
        match Box::pin(self.apply(vec![note], change, Vec::new(), ground)).await? {
            Recorded::Unknown => Err(Error::from(Code::AuditUnavailable)),
            recorded => Ok(recorded),
        }
    }

    /// An entry, of what was granted or of why it was not.
    pub(crate) fn note(
        &self,
        request: &Request,
        session: Option<&Session>,
        effect: Effect,
        refusal: Option<&Error>,
    ) -> Result<Noted> {
        let now = self.0.clock.now();
        let (outcome, reason) = match refusal.map(|error| error.code) {
            None => (OutcomeKind::Granted, 0),
            Some(code @ (Code::Unauthenticated | Code::PermissionDenied | Code::LoginFailed)) => {
                (OutcomeKind::Denied, code.number())
            }
            Some(code) => (OutcomeKind::Refused, code.number()),
        };
        if refusal.is_some_and(|error| error.code == Code::IntegrityFailed) {
            count(&self.0.stats.integrity_failures);
            tracing::error!(action = effect.action.name(), error = ?refusal, "a stored row fails its check");
        }
        let (principal, who, accessor, path) = match session {
            Some(session) => (
                Some(session.principal),
                session.who(&request.source)?,
                Some(session.accessor.clone()),
                storable(effect.path),
            ),
            // Nobody proved anything: neither a claimed name nor a chosen path is stored, and floods fold.
            None => {
                let salt = self.0.ring.keys.load().month_salt(now).map_err(Error::internal)?;
                (
                    None,
                    audit_identity(&salt, "", &request.source).map_err(Error::internal)?,
                    None,
                    String::new(),
                )
            }
        };
        Ok(Noted {
            entry: Entry {
                at: now,
                request: request.id,
                dialect: request.dialect,
                action: effect.action,
                outcome,
                reason,
                principal,
                who,
                namespace: session.map_or_else(|| self.unproven_namespace(), |session| session.home.id),
                path,
                version: effect.version,
                digest: effect.digest,
                count: 1,
            },
            accessor,
            source: request.source.clone(),
        })
    }

    /// Records a refusal that ends a change, or a login: kept, and fenced like any answer.
    pub(crate) async fn record_event(
        &self,
        request: &Request,
        session: Option<Arc<Session>>,
        decided_at: Revision,
        effect: Effect,
        refusal: Option<&Error>,
    ) -> Result<Recorded> {
        let note = self.note(request, session.as_deref(), effect, refusal)?;
        let spent = self.spends(session.as_deref())?;
        let ground = Ground {
            decided_at,
            session,
            objects: Vec::new(),
            until: None,
            manifest: None,
        };
        let recorded = self.record_with(Lane::Events, note, spent, ground).await?;
        if recorded == Recorded::Moved {
            count(&self.0.stats.withheld);
        }
        Ok(recorded)
    }
}
