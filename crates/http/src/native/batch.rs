use strongroom_api::Problem;
use strongroom_api::batch::{Batch, BatchAnswer, BatchRequest, BatchWritten, Failed, Item};
use strongroom_broker::{BatchItem, BatchRead, BatchWrite, Written};
use strongroom_domain::{Error, Result, SecretPath};

use crate::answer::{Answer, Failure, ok, status};
use crate::body::Json;
use crate::call::Call;
use crate::native::secrets::{selector, shown};

fn failed<T>(path: &SecretPath, error: &Error) -> Item<T> {
    let error = Box::new(Problem::new(error, status(error.code).as_u16(), ""));
    Item::Failed(Failed {
        path: path.to_string(),
        error,
    })
}

fn items<T, U>(items: Vec<BatchItem<T>>, show: impl Fn(T) -> Result<U>) -> BatchAnswer<U> {
    let item = |BatchItem { path, result }: BatchItem<T>| match result.and_then(&show) {
        Ok(shown) => Item::Done(shown),
        Err(error) => failed(&path, &error),
    };
    BatchAnswer {
        items: items.into_iter().map(item).collect(),
    }
}

pub(crate) async fn batch(Call { broker, request }: Call, Json(body): Json<BatchRequest>) -> Answer {
    match body.batch()? {
        Batch::Reads(reads) => {
            let reads = reads
                .into_iter()
                .map(|read| {
                    Ok(BatchRead {
                        path: SecretPath::parse(&read.path)?,
                        selector: selector(read.version, read.label)?,
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            ok(&items(broker.read_batch(&request, reads).await?, shown))
        }
        Batch::Writes { items: writes, atomic } => {
            let writes = writes
                .into_iter()
                .map(|write| {
                    Ok(BatchWrite {
                        path: SecretPath::parse(&write.fields.path)?,
                        payload: write.payload.try_into()?,
                        cas: write.fields.cas,
                        id: write.fields.id,
                        labels: write.fields.labels,
                        unless_same: write.fields.unless_same,
                    })
                })
                .collect::<Result<Vec<_>, Failure>>()?;
            let written = broker.write_batch(&request, writes, atomic).await?;
            ok(&items(written, |written: Written| {
                Ok(BatchWritten {
                    path: written.path,
                    version: written.version,
                    id: written.id,
                    created_at: written.created_at,
                    unchanged: written.unchanged,
                })
            }))
        }
    }
}
