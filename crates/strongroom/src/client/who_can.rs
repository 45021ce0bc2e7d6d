//! `strongroom who-can`

use std::net::IpAddr;

use strongroom_api::explain::{Holder, Way, WhoCan};
use strongroom_domain::policy::Capability;

use super::failure::Failure;
use super::output::{or_dash, table, word};
use super::session::{Session, all_pages};

/// List who may do something: roles, clients, operators, service tokens and browser keys, each with the rule that decides
#[derive(Debug, clap::Args)]
pub struct WhoCanDo {
    /// Such as read, list, create or update
    capability: String,
    /// A secret, or a folder with a `/` behind it; or a policy's path, such as flag/shop/prod/banner or sys/audit
    path: String,
    /// Only what counts for requests from this address
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
}

pub(super) fn capability(text: &str) -> Result<Capability, Failure> {
    Capability::granted(text).ok_or_else(|| {
        let all = Capability::GRANTS.map(Capability::name).join(" ");
        Failure::usage(format!("'{text}' is no capability; there are {all}."))
    })
}

impl WhoCanDo {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let asked = WhoCan {
            capability: capability(&self.capability)?,
            path: self.path,
            from: self.from,
            cursor: None,
            limit: None,
        };
        let page = all_pages(async |query| {
            let asked = WhoCan {
                cursor: query.cursor,
                limit: query.limit,
                ..asked.clone()
            };
            session.client.who_can(&asked).await
        });
        let page = page.await?;
        session.output.show(&page, || {
            table(
                ["KIND", "NAME", "THROUGH", "POLICIES", "RULE", "PRINCIPAL"],
                page.items.iter().map(row),
            )
        })
    }
}

pub(super) fn through(ways: &[Way]) -> String {
    let ways = ways.iter().map(|way| match way {
        Way::Own => "itself".to_owned(),
        Way::Group(name) => format!("group {name}"),
        Way::Role(name) => format!("role {name}"),
    });
    ways.collect::<Vec<_>>().join(", ")
}

fn row(holder: &Holder) -> [String; 6] {
    let through = if holder.root {
        "root".to_owned()
    } else {
        through(&holder.through)
    };
    let policies = holder.deciding.as_ref().map(|deciding| {
        deciding
            .policies
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    });
    [
        word(&holder.kind),
        holder.name.clone(),
        through,
        or_dash(policies.filter(|policies| !policies.is_empty())),
        or_dash(holder.deciding.as_ref().map(|deciding| &deciding.path)),
        or_dash(holder.principal),
    ]
}
