//! Notices that no webhook took for as long as they were tried: kept for a while, so that somebody sees them, and sends them
//! again or forgets them.

use std::sync::atomic::Ordering;
use std::time::Instant;

use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::notice::{DeadLetter, KEPT, LetterAction, MOST_DEAD, Notice};
use strongroom_domain::policy::Capability;
use strongroom_domain::{Code, Error, Kind, Name, ObjectId, Result, Row, Time, Write};

use crate::Broker;
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::record::{Attempt, Effect, Served};
use crate::request::Request;
use crate::rotation::{AWAITED, LOOK_AGAIN};
use crate::rows::{Checked, remove};

const CHUNK: u16 = 256;
/// What a count looks at: more are told as many.
const COUNTED: u16 = 1000;

/// Some dead letters, and where to go on.
#[derive(Debug)]
pub struct DeadLetterPage {
    pub items: Vec<DeadLetter>,
    pub next: Option<String>,
}

/// A notice that was sent again, and not taken yet.
#[derive(Debug, Clone)]
pub struct Untold {
    pub id: ObjectId,
    pub target: Name,
    /// Why it was not taken; none: it was not tried yet.
    pub reason: Option<String>,
    /// When it is tried next; none: it is a dead letter once more.
    pub next_at: Option<Time>,
}

impl From<Notice> for Untold {
    fn from(notice: Notice) -> Self {
        Self {
            id: notice.id,
            target: notice.target,
            reason: notice.reason,
            next_at: Some(notice.due),
        }
    }
}

impl From<DeadLetter> for Untold {
    fn from(letter: DeadLetter) -> Self {
        Self {
            id: letter.id,
            target: letter.target,
            reason: Some(letter.reason),
            next_at: None,
        }
    }
}

fn no_letter() -> Error {
    Error::new(Code::NotFound, "There is no such dead letter.")
}

fn effect(action: Action, letter: &DeadLetter) -> Effect {
    Effect::new(action, format!("{}/{}", letter.target, letter.id))
}

impl Broker {
    /// As this node saw it last; it looks every minute.
    pub fn dead_letters_seen(&self) -> i64 {
        self.0.stats.dead_letters.load(Ordering::Relaxed)
    }

    /// The oldest first, of targets that the caller may read.
    pub async fn dead_letters(&self, request: &Request, after: &str, limit: u16) -> Result<DeadLetterPage> {
        self.serve(request, Action::DeadLetterRead, "", |attempt| async move {
            let after = self.open_cursor(after)?;
            let is_first = after.is_empty();
            let page = self.dead_letters_now(&attempt, after, limit).await?;
            if is_first && page.items.is_empty() && page.next.is_none() {
                // Nothing to show: whoever may not list learns no more than that.
                attempt.authorise(Access::Targets)?;
            }
            Ok(Served::fresh(page))
        })
        .await
    }

    async fn dead_letters_now(&self, attempt: &Attempt, mut after: String, limit: u16) -> Result<DeadLetterPage> {
        let mut items: Vec<DeadLetter> = Vec::new();
        loop {
            let store = &self.0.store;
            let found = store.list(attempt.now, self.namespace(), Kind::DeadLetter, "", &after, CHUNK);
            let found = self.ask(found).await?.value;
            let last_chunk = found.len() < usize::from(CHUNK);
            for record in found {
                if items.len() == usize::from(limit) {
                    let next = Some(self.seal_cursor(&after)?);
                    return Ok(DeadLetterPage { items, next });
                }
                let Checked { record, body } = self.check::<DeadLetter>(record)?;
                after = record.name;
                let access = Access::Target(&body.target, Capability::Read);
                if body.due() > attempt.now && attempt.authorise(access).is_ok() {
                    items.push(body);
                }
            }
            if last_chunk {
                return Ok(DeadLetterPage { items, next: None });
            }
        }
    }

    /// Sends one again, and waits a while for what that leads to, or forgets it. What is not taken yet.
    pub async fn tell_dead_letter(
        &self,
        request: &Request,
        id: ObjectId,
        told: LetterAction,
    ) -> Result<Option<Untold>> {
        let action = match told {
            LetterAction::Retry => Action::DeadLetterRetry,
            LetterAction::Discard => Action::DeadLetterDiscard,
        };
        let asked = Asked {
            action,
            path: String::new(),
            locks: vec![self.key(Kind::Notice, id.to_string())],
            // A repeat finds no letter: what came of the first is for whoever may see it then.
            id: ChangeId::Made(self.new_id().to_string()),
            fingerprint: Canon::new(action.name()).bytes(id.as_slice()).done().into(),
            needs: Vec::new(),
        };
        let again = self
            .change(request, asked, |attempt| async move {
                let found = self.load_by_id::<DeadLetter>(Kind::DeadLetter, id).await?.value;
                let may = |target: &Name, capability| attempt.authorise(Access::Target(target, capability)).is_ok();
                let seen = |letter: &DeadLetter| {
                    let (target, now) = (&letter.target, attempt.now);
                    letter.due() > now && (may(target, Capability::Read) || may(target, Capability::Update))
                };
                let Some(Checked { record, body }) = found.filter(|found| seen(&found.body)) else {
                    // Whoever may not see any learns nothing of this one.
                    attempt.authorise(Access::Targets)?;
                    return Err(no_letter());
                };
                attempt.authorise(Access::Target(&body.target, Capability::Update))?;
                let (effect, mut writes) = (effect(action, &body), vec![remove(&record)]);
                let again = match told {
                    LetterAction::Discard => None,
                    LetterAction::Retry => {
                        self.check_not_held().await?;
                        if self.load_target(&body.target).await?.is_none() {
                            let gone = format!("There is no target '{}' any more: discard it.", body.target);
                            return Err(Error::new(Code::Conflict, gone));
                        }
                        let notice = body.again(attempt.now);
                        writes.push(self.write_notice(None, &notice)?);
                        Some(notice)
                    }
                };
                Ok(Decided::Write(Decision {
                    fresh: Vec::new(),
                    writes,
                    touches: Vec::new(),
                    effects: vec![effect],
                    answer: again,
                }))
            })
            .await?;
        match again {
            Some(notice) => self.await_notice(notice).await,
            None => Ok(None),
        }
    }

    /// As it stands once it was tried, or after a while; none: it was taken.
    async fn await_notice(&self, mut notice: Notice) -> Result<Option<Untold>> {
        let (broker, id) = (self.clone(), notice.id);
        tokio::spawn(async move {
            if let Err(error) = broker.send_notice(id).await {
                tracing::warn!(?error, "a notice that was to be sent again was put off");
            }
        });
        let began = Instant::now();
        while began.elapsed() < AWAITED && notice.failures == 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
            let name = id.to_string();
            match self.load::<Notice>(Kind::Notice, &name).await?.value {
                Some(found) => notice = found.body,
                None => {
                    let dead = self.load_by_id::<DeadLetter>(Kind::DeadLetter, id).await?.value;
                    return Ok(dead.map(|letter| letter.body.into()));
                }
            }
        }
        Ok(Some(notice.into()))
    }

    /// What keeps a letter, and makes room for it: whoever reads the log sees which went.
    pub(crate) async fn keep_letter(&self, letter: &DeadLetter) -> Result<(Vec<Write>, Vec<Effect>)> {
        let name = letter.row_name();
        let row = self.new_record(Kind::DeadLetter, letter.id, &name, Some(letter.due()), letter)?;
        let (mut writes, mut effects) = (vec![Write::Insert(Row::Record(row))], Vec::new());
        let (now, kind) = (self.0.clock.now(), Kind::DeadLetter);
        // Some more than may be there: two nodes may each have added one.
        let most = MOST_DEAD + CHUNK;
        let found = self.0.store.list(now, self.namespace(), kind, "", "", most);
        let mut found = self.ask(found).await?.value;
        found.retain(|record| record.due > Some(now));
        let too_many = (found.len() + 1).saturating_sub(MOST_DEAD.into());
        for record in found.into_iter().take(too_many) {
            match self.check::<DeadLetter>(record) {
                Ok(Checked { record, body }) => {
                    writes.push(remove(&record));
                    effects.push(effect(Action::DeadLetterDrop, &body));
                }
                // One that fails holds up nobody else.
                Err(error) => tracing::warn!(?error, "a dead letter was not dropped"),
            }
        }
        Ok((writes, effects))
    }

    pub(crate) async fn watch_dead_letters(&self) -> Result<()> {
        let now = self.0.clock.now();
        // Those that are not forgotten by now.
        let from = Some((now, ObjectId([u8::MAX; 16])));
        let found = self.0.store.due(now, Kind::DeadLetter, from, now + 2 * KEPT, COUNTED);
        let found = self.ask(found).await?.value.len();
        let count = i64::try_from(found).unwrap_or(i64::MAX);
        self.0.stats.dead_letters.store(count, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use strongroom_domain::notice::Happened;
    use strongroom_domain::target::Event;

    use super::*;
    use crate::place::Place;

    fn letter(number: u16, died_at: Time) -> DeadLetter {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        DeadLetter {
            id: ObjectId(id),
            target: Name::parse("hook").unwrap(),
            happened: Happened {
                event: Event::LeaseStuck,
                at: died_at,
                about: "reports".into(),
                version: None,
                due: None,
                reason: None,
            },
            tries: 90,
            reason: "no".into(),
            died_at,
        }
    }

    impl Place {
        fn asked(&self) -> Asked<'static> {
            Asked {
                action: Action::NoticeEnd,
                path: String::new(),
                locks: Vec::new(),
                id: ChangeId::Version(self.broker.new_id().to_string()),
                fingerprint: Vec::new().into(),
                needs: Vec::new(),
            }
        }

        /// As a notice is given up. How many letters went for it.
        async fn dies(&self, letter: &DeadLetter) -> usize {
            let (broker, asked) = (&self.broker, self.asked());
            let request = self.request();
            let died = broker.change(&request, asked, |_| async move {
                let (writes, dropped) = broker.keep_letter(letter).await?;
                let answer = dropped.len();
                let mut effects = vec![Effect::new(Action::NoticeEnd, "hook")];
                effects.extend(dropped);
                Ok(Decided::Write(Decision {
                    fresh: Vec::new(),
                    writes,
                    touches: Vec::new(),
                    effects,
                    answer,
                }))
            });
            died.await.unwrap()
        }

        async fn all(&self) -> Vec<ObjectId> {
            let (mut all, mut after) = (Vec::new(), String::new());
            loop {
                let page = self.broker.dead_letters(&self.request(), &after, 300).await.unwrap();
                all.extend(page.items.into_iter().map(|letter| letter.id));
                match page.next {
                    Some(next) => after = next,
                    None => return all,
                }
            }
        }
    }

    #[tokio::test]
    async fn none_is_sent_again_while_a_restore_holds_it() {
        let place = Place::new().await;
        let (broker, request) = (&place.broker, place.request());
        let letter = letter(1, broker.0.clock.now());
        place.dies(&letter).await;
        let held = broker.change(&request, place.asked(), |attempt| async move {
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: broker.write_hold(attempt.now).await?.into_iter().collect(),
                touches: Vec::new(),
                effects: vec![Effect::new(Action::RestoreBackup, "")],
                answer: (),
            }))
        });
        held.await.unwrap();
        let told = |action| broker.tell_dead_letter(&request, letter.id, action);
        assert_eq!(told(LetterAction::Retry).await.unwrap_err().code, Code::Conflict);
        assert_eq!(place.all().await, [letter.id]);
        assert!(told(LetterAction::Discard).await.unwrap().is_none());
        assert_eq!(place.all().await, []);
    }

    #[tokio::test]
    async fn the_oldest_make_room_and_none_stays_for_ever() {
        let place = Place::new().await;
        let born = place.broker.0.clock.now();
        let at = |number: u16| born + std::time::Duration::from_secs(number.into());
        let ids = |numbers: std::ops::Range<u16>| numbers.map(|number| letter(number, at(0)).id).collect::<Vec<_>>();
        for number in 0..MOST_DEAD {
            assert_eq!(place.dies(&letter(number, at(number))).await, 0);
        }
        assert_eq!(place.all().await, ids(0..MOST_DEAD));
        for number in MOST_DEAD..MOST_DEAD + 3 {
            assert_eq!(place.dies(&letter(number, at(number))).await, 1);
        }
        assert_eq!(place.all().await, ids(3..MOST_DEAD + 3), "the oldest went");
        place.broker.watch_dead_letters().await.unwrap();
        assert_eq!(place.broker.dead_letters_seen(), i64::from(COUNTED));
        // From then on, whether or not the rows are removed yet.
        place.clock.now.store((at(503) + KEPT).0, Ordering::Relaxed);
        assert_eq!(place.all().await, ids(504..MOST_DEAD + 3));
        place.broker.watch_dead_letters().await.unwrap();
        assert_eq!(place.broker.dead_letters_seen(), i64::from(MOST_DEAD + 3 - 504));
        let (request, id) = (place.request(), letter(503, at(0)).id);
        let forgotten = place.broker.tell_dead_letter(&request, id, LetterAction::Retry);
        assert_eq!(forgotten.await.unwrap_err().code, Code::NotFound);
    }
}
