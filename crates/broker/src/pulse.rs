//! The fence of what leaves no entry. Those that wait together share one question to the database, what time it is there
//! and what changed; nothing is written. One question is in flight: what arrives meanwhile waits for the next.

use std::time::Instant;

use strongroom_domain::{Code, Error, Fence, Result};
use tokio::sync::{mpsc, oneshot};

use crate::lanes::{Ground, Workshop};
use crate::stats::count;

/// Those that share a question.
const MAX_BATCH: usize = 2048;
/// Changes asked for; more, and all that is cached may be old.
const MAX_MOVED: u16 = 100;

struct Waiting {
    ground: Ground,
    since: Instant,
    reply: oneshot::Sender<Result<bool>>,
}

pub(crate) struct Pulse(mpsc::Sender<Waiting>);

impl Pulse {
    pub(crate) fn start(shop: Workshop, queue: usize) -> Self {
        let (sender, receiver) = mpsc::channel(queue);
        tokio::spawn(run(shop, receiver));
        Self(sender)
    }

    /// Whether what an answer rests on still holds, asked after it was decided.
    pub(crate) async fn holds(&self, ground: Ground) -> Result<bool> {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting {
            ground,
            since: Instant::now(),
            reply,
        };
        self.0
            .try_send(waiting)
            .map_err(|_| Error::new(Code::Overloaded, "Too many evaluations wait for the database."))?;
        answer
            .await
            .unwrap_or_else(|_| Err(Error::from(Code::StoreUnavailable)))
    }
}

async fn run(shop: Workshop, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::new();
    while queue.recv_many(&mut waiting, MAX_BATCH).await > 0 {
        let (in_time, late): (Vec<_>, Vec<_>) = waiting
            .drain(..)
            .partition(|waiting| waiting.since.elapsed() < shop.deadline);
        refuse(late);
        ask(&shop, in_time).await;
    }
}

async fn ask(shop: &Workshop, waiting: Vec<Waiting>) {
    let oldest = waiting.iter().map(|waiting| waiting.ground.decided_at).min();
    let Some(oldest) = oldest else { return };
    let (since, mut touched) = shop.node.recent(oldest);
    let now = shop.clock.now();
    let asked = shop.store.touches(now, since, MAX_MOVED);
    let found = match tokio::time::timeout(shop.deadline, asked).await {
        Ok(Ok(found)) => found,
        failed => {
            if let Ok(Err(error)) = failed {
                tracing::warn!(?error, "evaluations could not be fenced");
            }
            return refuse(waiting);
        }
    };
    let fence = Fence {
        db_now: found.db_now,
        top: found.revision,
        moved: found.value,
    };
    shop.clock.observe(now, fence.db_now);
    shop.node.learn(since, &fence, []);
    touched.add(&fence);
    for waiting in waiting {
        let moved = waiting.ground.moved(&touched, fence.db_now);
        if moved {
            count(&shop.stats.withheld);
        }
        let _ = waiting.reply.send(Ok(!moved));
    }
}

fn refuse(waiting: Vec<Waiting>) {
    for waiting in waiting {
        let _ = waiting.reply.send(Err(Error::from(Code::StoreUnavailable)));
    }
}
