//! `strongroom whoami`

use strongroom_api::auth;
use strongroom_domain::Name;

use super::failure::Failure;
use super::output::{or_dash, word};
use super::session::Session;

/// Show whom the token stands for, as the server says it
#[derive(Debug, clap::Args)]
pub struct WhoAmI {}

impl WhoAmI {
    pub(super) async fn run(self, session: &Session) -> Result<(), Failure> {
        let found = session.client.whoami().await?;
        session.output.show(&found, || lines(&found))
    }
}

fn lines(found: &auth::WhoAmI) -> String {
    let names = |names: &[Name]| {
        let names: Vec<&str> = names.iter().map(Name::as_str).collect();
        (!names.is_empty()).then(|| names.join(" "))
    };
    let policies = names(&found.policies);
    let lines = [
        ("name", found.name.clone()),
        ("kind", Some(word(&found.kind))),
        ("principal", Some(found.principal.to_string())),
        ("client id", found.client_id.clone()),
        ("role", found.role.as_ref().map(Name::to_string)),
        ("login method", found.method.as_ref().map(Name::to_string)),
        ("groups", names(&found.groups)),
        (
            "policies",
            if found.root {
                Some("all, as root".to_owned())
            } else {
                policies
            },
        ),
        ("expires", Some(or_dash(found.expires_at))),
    ];
    let shown = lines.into_iter().filter_map(|(name, value)| {
        // Nothing that a server says may steer the terminal.
        let value = value?.replace(char::is_control, "?");
        Some(format!("{name:11}{value}\n"))
    });
    shown.collect()
}
