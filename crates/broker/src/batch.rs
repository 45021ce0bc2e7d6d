//! Many secrets in one call: each item with an entry and an error of its own, or all writes in one change.

use futures_util::future::join_all;
use strongroom_domain::secret::Selector;
use strongroom_domain::{Code, Error, Result, SecretPath};

use crate::Broker;
use crate::put::{PutSecret, Written};
use crate::read::SecretView;
use crate::request::Request;

/// Reads at one time, and bytes of values after which no more are read: what one call may hold in memory.
const AT_ONCE: usize = 100;
const MAX_BYTES: usize = 8 << 20;
/// Items one call takes.
pub(crate) const MAX_ITEMS: usize = 1000;

#[derive(Debug)]
pub struct BatchRead {
    pub path: SecretPath,
    pub selector: Selector,
}

pub type BatchWrite = PutSecret;

#[derive(Debug)]
pub struct BatchItem<T> {
    pub path: SecretPath,
    pub result: Result<T>,
}

fn check_count(count: usize) -> Result<()> {
    if (1..=MAX_ITEMS).contains(&count) {
        Ok(())
    } else {
        Err(Error::invalid(format!("A batch has 1 to {MAX_ITEMS} items.")))
    }
}

impl Broker {
    /// Reads, each answered by itself. They share the audit's commits.
    pub async fn read_batch(&self, request: &Request, reads: Vec<BatchRead>) -> Result<Vec<BatchItem<SecretView>>> {
        check_count(reads.len())?;
        let (mut items, mut bytes) = (Vec::with_capacity(reads.len()), 0);
        let mut reads = reads.into_iter().take(self.asked_of(request).await);
        loop {
            let some: Vec<BatchRead> = reads.by_ref().take(AT_ONCE).collect();
            if some.is_empty() {
                return told_once(items);
            }
            let full = bytes > MAX_BYTES;
            let each = some.into_iter().map(|read| async move {
                let result = if full {
                    Err(Error::new(
                        Code::LimitReached,
                        "The answer is full; read the rest in another call.",
                    ))
                } else {
                    self.read(request, &read.path, &read.selector).await
                };
                BatchItem {
                    path: read.path,
                    result,
                }
            });
            for item in join_all(each).await {
                bytes += item.result.as_ref().map_or(0, |view| view.payload.bytes.len());
                items.push(item);
            }
        }
    }

    /// Writes: all in one change, or each by itself.
    pub async fn write_batch(
        &self,
        request: &Request,
        writes: Vec<BatchWrite>,
        atomic: bool,
    ) -> Result<Vec<BatchItem<Written>>> {
        check_count(writes.len())?;
        let mut paths: Vec<SecretPath> = writes.iter().map(|write| write.path.clone()).collect();
        let in_order = paths.clone();
        paths.sort();
        if let Some(twice) = paths
            .windows(2)
            .find(|pair| pair.first() == pair.last())
            .and_then(<[_]>::first)
        {
            return Err(Error::invalid(format!("The path '{twice}' stands twice in the batch.")));
        }
        if atomic {
            let written = self.put_many(request, writes).await?;
            return Ok(in_order
                .into_iter()
                .zip(written)
                .map(|(path, written)| BatchItem {
                    path,
                    result: Ok(written),
                })
                .collect());
        }
        if request.change_id.is_some() {
            return Err(Error::invalid(
                "'Idempotency-Key' belongs to an atomic batch; give each item an 'id' instead.",
            ));
        }
        let writes = writes.into_iter().take(self.asked_of(request).await);
        let each = writes.map(|write| async move {
            let path = write.path.clone();
            BatchItem {
                path,
                result: self.put(request, write).await,
            }
        });
        told_once(join_all(each).await)
    }

    /// How many items are looked at: of a batch from somebody who proves nothing the first, for the entry of its refusal.
    async fn asked_of(&self, request: &Request) -> usize {
        match self.authenticate(request).await {
            Err(error) if error.code == Code::Unauthenticated => 1,
            _ => MAX_ITEMS,
        }
    }
}

/// Who proves nothing is refused once, and not item by item.
fn told_once<T>(items: Vec<BatchItem<T>>) -> Result<Vec<BatchItem<T>>> {
    let stranger = |item: &BatchItem<T>| matches!(&item.result, Err(error) if error.code == Code::Unauthenticated);
    if items.iter().all(stranger) {
        return Err(Error::from(Code::Unauthenticated));
    }
    Ok(items)
}
