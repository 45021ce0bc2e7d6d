//! `strongroom flag key`

use strongroom_api::flags::{BrowserKey, NewBrowserKey};
use strongroom_domain::ObjectId;
use strongroom_domain::flag::{FlagSetName, WebOrigin};
use strongroom_domain::period::Period;

use crate::client::failure::Failure;
use crate::client::output::{or_dash, table};
use crate::client::session::Session;

#[derive(Debug, clap::Subcommand)]
pub enum Key {
    /// Make a browser key; it is shown this once
    ///
    /// It evaluates the flags of this project's environment, on the listener of flags and from the pages that it is bound to.
    /// Everybody who loads them has it.
    Create {
        #[arg(value_name = "PROJECT/ENVIRONMENT")]
        set: String,
        /// A page that may use it, as browsers say in `Origin`: https://shop.example.com; may be repeated
        #[arg(long = "origin", value_name = "ORIGIN", required = true)]
        origins: Vec<String>,
        /// What it is for
        #[arg(long)]
        description: Option<String>,
        /// How long it holds, such as 30d; usually 90 days
        #[arg(long, value_name = "TIME")]
        ttl: Option<String>,
    },
    /// List the browser keys that hold
    List {
        #[arg(value_name = "PROJECT/ENVIRONMENT")]
        set: String,
    },
    /// End a browser key
    Delete {
        #[arg(value_name = "PROJECT/ENVIRONMENT")]
        set: String,
        id: String,
    },
}

impl Key {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let Session { client, output } = session;
        match self {
            Self::Create {
                set,
                origins,
                description,
                ttl,
            } => {
                let origins = origins.iter().map(|origin| WebOrigin::parse(origin));
                let body = NewBrowserKey {
                    origins: origins.collect::<Result<_, _>>()?,
                    description,
                    ttl: ttl.map(|ttl| Period::parse(&ttl)).transpose()?.map(Period::seconds),
                };
                let created = client.create_browser_key(&FlagSetName::parse(&set)?, &body).await?;
                output.show(&created, || {
                    let about = &created.about;
                    table(
                        ["KEY", "ID", "EXPIRES"],
                        [[
                            created.key.clone(),
                            about.key_id.to_string(),
                            about.expires_at.to_string(),
                        ]],
                    )
                })
            }
            Self::List { set } => {
                let keys = client.browser_keys(&FlagSetName::parse(&set)?).await?;
                output.show(&keys, || rows(&keys.items))
            }
            Self::Delete { set, id } => {
                let known = ObjectId::parse(&id)
                    .ok_or_else(|| Failure::usage(format!("'{id}' is not 32 lower-case hexadecimal digits.")))?;
                client.delete_browser_key(&FlagSetName::parse(&set)?, known).await?;
                output.done(&format!("The browser key {id} is ended."))
            }
        }
    }
}

fn rows(keys: &[BrowserKey]) -> String {
    let rows = keys.iter().map(|key| {
        let origins: Vec<&str> = key.origins.iter().map(WebOrigin::as_str).collect();
        [
            key.key_id.to_string(),
            origins.join(" "),
            key.expires_at.to_string(),
            or_dash(key.description.as_deref()),
        ]
    });
    table(["ID", "ORIGINS", "EXPIRES", "DESCRIPTION"], rows)
}
