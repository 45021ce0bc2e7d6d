//! `strongroom flag counts`

use strongroom_api::Page;
use strongroom_api::flags::{CountsQuery, EvaluationCount};
use strongroom_domain::flag::FlagPath;

use crate::client::audit::{now, parse_time};
use crate::client::failure::Failure;
use crate::client::output::{or_dash, table};
use crate::client::session::Session;

/// Show how often a flag was evaluated, by minute and variant, oldest first
///
/// Counts are kept for 7 days; each node writes its own once a minute. A time is RFC 3339 (2026-01-31T12:00:00Z), or so long ago: 90s,
/// 30m, 1h, 7d.
#[derive(Debug, clap::Args)]
pub struct Counts {
    #[arg(value_name = "PROJECT/ENVIRONMENT/KEY")]
    path: String,
    #[arg(long, value_name = "TIME", default_value = "1h")]
    since: String,
    /// None: now
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most so many lines
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
}

impl Counts {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let (path, now) = (FlagPath::parse(&self.path)?, now());
        let mut query = CountsQuery {
            since: Some(parse_time(&self.since, now)?),
            until: self.until.map(|text| parse_time(&text, now)).transpose()?,
            ..CountsQuery::default()
        };
        let mut all: Page<EvaluationCount> = Page {
            items: Vec::new(),
            next_cursor: None,
        };
        while all.items.len() < self.limit {
            query.limit = u32::try_from((self.limit - all.items.len()).min(1000)).ok();
            let page = session.client.flag_counts(&path, &query).await?;
            all.items.extend(page.items);
            all.next_cursor.clone_from(&page.next_cursor);
            query.cursor = page.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        session.output.show(&all, || {
            table(
                ["MINUTE", "VARIANT", "EVALUATIONS", "IN BULK"],
                all.items.iter().map(row),
            )
        })
    }
}

fn row(count: &EvaluationCount) -> [String; 4] {
    [
        count.minute.to_string(),
        or_dash(count.variant.as_deref()),
        count.evaluations.to_string(),
        count.in_bulk.to_string(),
    ]
}
