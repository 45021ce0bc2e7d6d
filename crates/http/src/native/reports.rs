use strongroom_api::Page;
use strongroom_api::reports::{ReportQuery, Reported, StaleFlag, Staleness, VariantUse};
use strongroom_broker::{self as broker, Report};
use strongroom_domain::flag::FlagPath;
use strongroom_domain::{Error, Result};

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

/// Shorter than for secrets: a flag is looked at all the time.
const FLAG_DAYS: u16 = 30;

pub(crate) async fn stale_flags(Call { broker, request }: Call, Asked(query): Asked<ReportQuery>) -> Answer {
    let days = checked(query.days.unwrap_or(FLAG_DAYS))?;
    let after = query.cursor.unwrap_or_default();
    let page = broker
        .stale_flags(&request, days, &after, page_limit(query.limit)?)
        .await?;
    let items = page.items.into_iter().map(shown_flag);
    ok(&Page {
        items: items.collect::<Result<Vec<_>>>()?,
        next_cursor: page.next,
    })
}

fn shown_flag(stale: broker::StaleFlag) -> Result<StaleFlag> {
    let FlagPath { set, key } = FlagPath::parse(&stale.path)?;
    let why = |why: &broker::Staleness| match why {
        broker::Staleness::Expired => Staleness::Expired,
        broker::Staleness::Outlived => Staleness::Outlived,
        broker::Staleness::Unevaluated => Staleness::Unevaluated,
        broker::Staleness::OneVariant => Staleness::OneVariant,
    };
    let used = |used: broker::VariantUse| VariantUse {
        variant: used.variant,
        last_evaluated_at: used.last_evaluated_at,
        last_in_bulk_at: used.last_in_bulk_at,
    };
    Ok(StaleFlag {
        project: set.project,
        environment: set.environment,
        key,
        owner: stale.flag.about.owner,
        kind: stale.flag.about.kind,
        why: stale.why.iter().map(why).collect(),
        created_at: stale.flag.created_at,
        updated_at: stale.flag.updated_at,
        expires_at: stale.flag.about.expires_at,
        variants: stale.variants.into_iter().map(used).collect(),
    })
}

fn checked(days: u16) -> Result<u16> {
    if (1..=MAX_DAYS).contains(&days) {
        Ok(days)
    } else {
        Err(Error::invalid("'days' is 1 to 3,650."))
    }
}

async fn report(
    Call { broker, request }: Call,
    Asked(query): Asked<ReportQuery>,
    report: impl Fn(u16) -> Report,
) -> Answer {
    let days = checked(query.days.unwrap_or(DAYS))?;
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
