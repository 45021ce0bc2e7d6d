use strongroom_api::Page;
use strongroom_api::reports::{ReportQuery, Reported};
use strongroom_broker::Report;
use strongroom_domain::Error;

use crate::answer::{Answer, ok};
use crate::call::{Asked, Call, page_limit};

const DAYS: u16 = 90;
const MAX_DAYS: u16 = 3650;

pub(crate) async fn unused(call: Call, query: Asked<ReportQuery>) -> Answer {
    report(call, query, Report::Unused).await
}

pub(crate) async fn stale(call: Call, query: Asked<ReportQuery>) -> Answer {
    report(call, query, Report::Stale).await
}

async fn report(
    Call { broker, request }: Call,
    Asked(query): Asked<ReportQuery>,
    report: impl Fn(u16) -> Report,
) -> Answer {
    let days = query.days.unwrap_or(DAYS);
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(Error::invalid("'days' is 1 to 3,650.").into());
    }
    let after = query.cursor.unwrap_or_default();
    let page = broker
        .report(&request, report(days), &after, page_limit(query.limit)?)
        .await?;
    let items = page.items.into_iter().map(|item| Reported {
        path: item.path,
        owner: item.owner,
        written_at: item.written_at,
        last_used_at: item.last_used_at,
    });
    ok(&Page {
        items: items.collect(),
        next_cursor: page.next,
    })
}
