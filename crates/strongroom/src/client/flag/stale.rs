//! `strongroom flag stale`

use strongroom_api::reports::{ReportQuery, StaleFlag};
use strongroom_domain::flag::FlagSetName;

use crate::client::failure::Failure;
use crate::client::output::{or_dash, table, word};
use crate::client::session::{Session, all_pages};

/// List the flags that may be stale, and why
///
/// Their expiry has passed, they are older than their kind is expected to become, nobody has evaluated them, or they have given one
/// variant alone. None is shown that is permanent.
#[derive(Debug, clap::Args)]
pub struct Stale {
    /// Of one project's environment alone
    #[arg(value_name = "PROJECT/ENVIRONMENT")]
    set: Option<String>,
    /// For how many days nobody has evaluated them, or they have given one variant alone; usually 30
    #[arg(long)]
    days: Option<u16>,
}

impl Stale {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let set = self.set.as_deref().map(FlagSetName::parse).transpose()?;
        let mut page = all_pages(async |page| {
            let query = ReportQuery {
                days: self.days,
                cursor: page.cursor,
                limit: page.limit,
            };
            session.client.stale_flags(&query).await
        })
        .await?;
        page.items
            .retain(|flag| set.as_ref().is_none_or(|set| *set == set_of(flag)));
        session.output.show(&page, || {
            table(
                ["FLAG", "WHY", "KIND", "OWNER", "UPDATED", "EVALUATED"],
                page.items.iter().map(row),
            )
        })
    }
}

fn set_of(flag: &StaleFlag) -> FlagSetName {
    FlagSetName {
        project: flag.project.clone(),
        environment: flag.environment.clone(),
    }
}

fn row(flag: &StaleFlag) -> [String; 6] {
    let why: Vec<String> = flag.why.iter().map(word).collect();
    let used = flag.variants.iter();
    let used = used.flat_map(|variant| [variant.last_evaluated_at, variant.last_in_bulk_at]);
    [
        format!("{}/{}", set_of(flag), flag.key),
        why.join(" "),
        word(&flag.kind),
        or_dash(flag.owner.as_deref()),
        flag.updated_at.to_string(),
        or_dash(used.flatten().max()),
    ]
}
