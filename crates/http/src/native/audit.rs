use strongroom_api::Page;
use strongroom_api::audit::{AuditQuery as Asks, Entry};
use strongroom_broker::{AuditQuery, AuditView};
use strongroom_domain::audit::{Action, BatchId, OutcomeKind};
use strongroom_domain::{Error, Result, Time};

use crate::answer::{Answer, ok};
use crate::call::{Asked, Call, page_limit};

fn shown(view: AuditView) -> Entry {
    let reason = view.stored.entry.reason_name().map(str::to_owned);
    let entry = view.stored.entry;
    Entry {
        at: entry.at,
        batch: view.stored.batch.to_string(),
        place: view.stored.place,
        node: None,
        request_id: entry.request.to_string(),
        dialect: entry.dialect.name().to_owned(),
        action: entry.action.name().to_owned(),
        outcome: entry.outcome.name().to_owned(),
        reason,
        principal: entry.principal,
        principal_name: view.principal_name,
        path: entry.path,
        version: entry.version,
        count: entry.count,
        accessor: view.stored.accessor.as_deref().map(str::to_owned),
        source: view.stored.source.as_deref().map(str::to_owned),
    }
}

type Place = (Time, BatchId, i64);

fn cursor(place: Place) -> String {
    format!("{}.{}.{}", place.0.0, place.1.0, place.2)
}

fn parse_cursor(text: &str) -> Result<Place> {
    let numbers: Vec<i64> = text.split('.').filter_map(|part| part.parse().ok()).collect();
    match numbers.as_slice() {
        [at, batch, place] => Ok((Time(*at), BatchId(*batch), *place)),
        _ => Err(Error::invalid("'cursor' is not one of ours.")),
    }
}

fn known<T>(text: Option<&str>, field: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
    text.map(|text| parse(text).ok_or_else(|| Error::invalid(format!("'{field}' is not one that is recorded."))))
        .transpose()
}

pub(crate) async fn search(Call { broker, request }: Call, Asked(asks): Asked<Asks>) -> Answer {
    let query = AuditQuery {
        since: asks.since,
        until: asks.until,
        principal: asks.principal,
        path: asks.path,
        action: known(asks.action.as_deref(), "action", Action::parse)?,
        outcome: known(asks.outcome.as_deref(), "outcome", OutcomeKind::parse)?,
        before: asks.cursor.as_deref().map(parse_cursor).transpose()?,
        limit: page_limit(asks.limit)?,
    };
    let page = broker.search_audit(&request, &query).await?;
    ok(&Page {
        items: page.items.into_iter().map(shown).collect(),
        next_cursor: page.next.map(cursor),
    })
}
