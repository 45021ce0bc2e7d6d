//! How a change is made: decided from rows that were read, committed if they are still the same, else decided again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use serde::Serialize;
use serde::de::DeserializeOwned;
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::grant::UsedChangeId;
use strongroom_domain::manifest::{TOP, key};
use strongroom_domain::row::Key;
use strongroom_domain::{Change, Code, Error, Kind, Result, Revision, Row, Touch, Write};
use zeroize::Zeroizing;

use crate::Broker;
use crate::cache::Fresh;
use crate::lanes::{Ground, Noted, Recorded};
use crate::locks::Held;
use crate::record::{Attempt, Effect, is_recorded};
use crate::request::Request;
use crate::session::Session;

/// How often a change that did not compare is decided again.
const ATTEMPTS: usize = 8;
/// How long a change id is remembered.
pub(crate) const REMEMBERED: Duration = Duration::from_hours(24);

/// What is asked for, before it is decided.
pub(crate) struct Asked<'a> {
    pub(crate) action: Action,
    pub(crate) path: String,
    /// The rows that will be written, so that this node's writers of them take turns.
    pub(crate) locks: Vec<Key>,
    pub(crate) id: ChangeId,
    /// The request as bytes, to tell a repeat from another request under the same id.
    pub(crate) fingerprint: Zeroizing<Vec<u8>>,
    /// Of each group one must be granted before anything is waited for, or the answer to a repeat is shown.
    pub(crate) needs: Vec<Vec<Access<'a>>>,
}

/// What a change is known by.
#[derive(Debug, Clone)]
pub(crate) enum ChangeId {
    /// The client's own: looked up first, and remembered.
    Client(String),
    /// Ours: remembered, for a client that learns of it from an unknown outcome.
    Made(String),
    /// The id of the one version the change writes, which its head remembers.
    Version(String),
}

impl ChangeId {
    fn text(&self) -> &str {
        let (Self::Client(id) | Self::Made(id) | Self::Version(id)) = self;
        id
    }
}

impl Asked<'_> {
    fn permitted(&self, attempt: &Attempt) -> Result<()> {
        self.needs.iter().try_for_each(|group| {
            let denied = group
                .iter()
                .map(|access| attempt.authorise(*access))
                .collect::<Vec<_>>();
            if denied.iter().any(Result::is_ok) {
                Ok(())
            } else {
                denied.into_iter().next().unwrap_or(Ok(()))
            }
        })
    }
}

pub(crate) enum Decided<T> {
    Write(Decision<T>),
    /// There is nothing to do: the answer stands already.
    Nothing(T),
}

pub(crate) struct Decision<T> {
    /// What this node may keep of it.
    pub(crate) fresh: Vec<Fresh>,
    pub(crate) writes: Vec<Write>,
    pub(crate) touches: Vec<Touch>,
    /// At least one: nothing is written without an entry.
    pub(crate) effects: Vec<Effect>,
    pub(crate) answer: T,
}

impl Broker {
    /// The client's change id, or one of ours.
    pub(crate) fn change_id(&self, request: &Request) -> ChangeId {
        match &request.change_id {
            Some(id) => ChangeId::Client(id.clone()),
            None => ChangeId::Made(self.new_id().to_string()),
        }
    }

    /// Makes a change: `decide` authorises, reads and decides, and may be called again.
    pub(crate) async fn change<T: Serialize + DeserializeOwned, F: Future<Output = Result<Decided<T>>> + Send>(
        &self,
        request: &Request,
        mut asked: Asked<'_>,
        decide: impl Fn(Attempt) -> F,
    ) -> Result<T> {
        let mut locks = std::mem::take(&mut asked.locks);
        if let ChangeId::Client(id) = &asked.id {
            strongroom_domain::secret::check_version_id(id)?;
            locks.push(self.key(Kind::ChangeId, id.as_str()));
        }
        let (mut held, mut turn) = (None, None);
        let mut began = Instant::now();
        let mut last = Recorded::Moved;
        for attempt in 0..ATTEMPTS {
            if began.elapsed() > self.0.settings.audit_deadline {
                break;
            }
            self.stand_for(asked.action).await?;
            let decided_at = self.0.node.revision();
            let Some(session) = self.proven(request, &mut turn, asked.action, decided_at).await? else {
                continue;
            };
            let attempt = Attempt {
                first: attempt == 0,
                from: session.whence(&request.source),
                session: session.clone(),
                decided_at,
                now: self.0.clock.now(),
            };
            let decided = match asked.permitted(&attempt) {
                Err(denial) => Err(denial),
                Ok(()) => {
                    // Only who may change a row waits for it: nobody else can hold it against them.
                    if held.is_none() {
                        held = Some(self.0.locks.hold(std::mem::take(&mut locks)).await);
                        began = Instant::now();
                    }
                    match self.repeated(&attempt, &asked).await {
                        Ok(Some(answer)) => Ok(Decided::Nothing(answer)),
                        Ok(None) => decide(attempt.clone()).await,
                        Err(error) => Err(error),
                    }
                }
            };
            let effect = Effect::new(asked.action, asked.path.clone());
            let (refusal, answer) = match decided {
                Ok(Decided::Write(decision)) => match self.commit(request, &attempt, &asked, decision).await {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(recorded)) => {
                        last = recorded;
                        continue;
                    }
                    Err(error) => (Some(recordable(error)?), Err(())),
                },
                Ok(Decided::Nothing(answer)) => (None, Ok(answer)),
                Err(error) => (Some(recordable(error)?), Err(())),
            };
            let recorded = self
                .record_event(request, Some(session), decided_at, effect, refusal.as_ref())
                .await?;
            if let Recorded::Committed(entry) = recorded {
                return answer.map_err(|()| refusal.unwrap_or_else(|| Code::Internal.into()).entered(entry));
            }
        }
        Err(match last {
            Recorded::Busy => Error::new(Code::StoreUnavailable, "The database cannot take the change now."),
            _ => Error::new(Code::Unsettled, "The rows kept changing while the change was decided."),
        })
    }

    /// Who asks. A refusal is recorded before it is told; `None`: its ground moved meanwhile.
    async fn proven(
        &self,
        request: &Request,
        turn: &mut Option<Held>,
        action: Action,
        decided_at: Revision,
    ) -> Result<Option<Arc<Session>>> {
        match self.caller(request, turn).await {
            Ok(session) => Ok(Some(session)),
            Err(error) if !is_recorded(error.code) => Err(error),
            Err(error) => {
                let effect = Effect::new(action, "");
                let recorded = self
                    .record_event(request, None, decided_at, effect, Some(&error))
                    .await?;
                match recorded {
                    Recorded::Committed(entry) => Err(error.entered(entry)),
                    _ => Ok(None),
                }
            }
        }
    }

    /// The answer, or why the change is to be decided again.
    async fn commit<T: Serialize>(
        &self,
        request: &Request,
        attempt: &Attempt,
        asked: &Asked<'_>,
        mut decision: Decision<T>,
    ) -> Result<Result<T, Recorded>> {
        if let ChangeId::Client(id) | ChangeId::Made(id) = &asked.id {
            decision
                .writes
                .push(self.remember(attempt, id, &asked.fingerprint, &decision.answer)?);
        }
        let notes = decision
            .effects
            .into_iter()
            .map(|effect| self.note(request, Some(&attempt.session), effect, None))
            .collect::<Result<Vec<_>>>()?;
        for spent in self.spends(Some(&attempt.session))? {
            // A change of the token itself is its use too.
            if decision.writes.iter().all(|write| write.key() != spent.key()) {
                decision.writes.push(spent);
            }
        }
        let change = Change {
            writes: decision.writes,
            touches: decision.touches,
        };
        let ground = Ground {
            decided_at: attempt.decided_at,
            session: Some(attempt.session.clone()),
            objects: Vec::new(),
            until: None,
            manifest: None,
        };
        match self.apply(notes, change, decision.fresh, ground).await? {
            Recorded::Committed(_) => Ok(Ok(decision.answer)),
            again @ (Recorded::Moved | Recorded::Conflict | Recorded::Busy | Recorded::Failed(_)) => Ok(Err(again)),
            Recorded::Unknown => Err(Error::new(
                Code::OutcomeUnknown,
                format!(
                    "The change '{}' may or may not have been made; repeat it with this id.",
                    asked.id.text()
                ),
            )),
        }
    }

    /// Commits a change with its entries, and with its manifest where that lists what is changed. There is no other way.
    pub(crate) async fn apply(
        &self,
        mut notes: Vec<Noted>,
        mut change: Change,
        mut fresh: Vec<Fresh>,
        mut ground: Ground,
    ) -> Result<Recorded> {
        let vouched = match notes.first() {
            Some(note) => self.vouch(&change.writes, note.entry.action).await?,
            None => None,
        };
        if let Some(vouched) = &vouched {
            change.writes.extend_from_slice(&vouched.writes);
            change.touches.extend_from_slice(&vouched.touches);
            fresh.extend(vouched.fresh.iter().cloned());
            // A manifest that was put back compares with what a node remembers that has not heard of the next.
            ground.manifest = Some((key(self.0.root, TOP), vouched.at));
            for note in notes.iter_mut().filter(|note| note.entry.action.is_of_grants()) {
                note.entry.version = Some(vouched.number);
            }
        }
        let recorded = self.0.lanes.change(notes, change, fresh, ground).await?;
        if recorded == Recorded::Conflict && vouched.is_some() {
            self.0.node.manifests().doubt();
        }
        Ok(recorded)
    }

    /// The answer of an earlier request with this change id.
    async fn repeated<T: DeserializeOwned>(&self, attempt: &Attempt, asked: &Asked<'_>) -> Result<Option<T>> {
        let ChangeId::Client(id) = &asked.id else {
            return Ok(None);
        };
        let Some(used) = self.load::<UsedChangeId>(Kind::ChangeId, id).await?.value else {
            return Ok(None);
        };
        // Remembered for a time, not until upkeep comes by.
        if used.record.due.is_some_and(|due| due <= attempt.now) {
            return Err(Error::new(
                Code::ChangeIdReused,
                "This change id was used more than 24 hours ago.",
            ));
        }
        let keys = self.0.ring.keys.load();
        if !keys.check_request_digest(&whose(attempt, &asked.fingerprint), used.body.key, &used.body.request) {
            return Err(Error::from(Code::ChangeIdReused));
        }
        let sealed = HEXLOWER.decode(used.body.answer.as_bytes()).map_err(Error::internal)?;
        let answer = keys
            .open_answer(self.namespace(), used.record.id, used.body.epoch, &sealed)
            .map_err(|error| crate::rows::broken(Kind::ChangeId, error))?;
        serde_json::from_slice(&answer).map(Some).map_err(Error::internal)
    }

    fn remember<T: Serialize>(&self, attempt: &Attempt, id: &str, fingerprint: &[u8], answer: &T) -> Result<Write> {
        let keys = self.0.ring.keys.load();
        let row = self.new_id();
        let text = Zeroizing::new(serde_json::to_vec(answer).map_err(Error::internal)?);
        let (epoch, sealed) = keys
            .seal_answer(self.namespace(), row, self.0.entropy.bytes(), &text)
            .map_err(Error::internal)?;
        let (key, request) = keys
            .request_digest(&whose(attempt, fingerprint))
            .map_err(Error::internal)?;
        let body = UsedChangeId {
            request,
            key,
            epoch,
            answer: HEXLOWER.encode(&sealed),
        };
        let record = self.new_record(Kind::ChangeId, row, id, Some(attempt.now + REMEMBERED), &body)?;
        Ok(Write::Insert(Row::Record(record)))
    }
}

/// What ends a change and is put on record; anything else ends it without.
fn recordable(error: Error) -> Result<Error> {
    if is_recorded(error.code) { Ok(error) } else { Err(error) }
}

/// A repeat is the same caller's: the answer may hold what was shown to nobody else.
fn whose(attempt: &Attempt, fingerprint: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([attempt.session.principal.as_slice(), fingerprint].concat())
}
