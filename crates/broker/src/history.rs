//! A secret's versions, without their values.

use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::policy::Capability;
use strongroom_domain::secret::Head;
use strongroom_domain::{Result, SecretPath};

use crate::Broker;
use crate::read::no_secret;
use crate::record::Served;
use crate::request::Request;

#[derive(Debug)]
pub struct History {
    pub path: SecretPath,
    pub head: Head,
}

impl Broker {
    pub async fn history(&self, request: &Request, path: &SecretPath) -> Result<History> {
        self.serve(request, Action::SecretHistory, path.as_str(), |attempt| async move {
            attempt.authorise(Access::Secret(path, Capability::List))?;
            let head = self.head(path).await?.ok_or_else(no_secret)?;
            Ok(Served::fresh(History {
                path: path.clone(),
                head: head.body,
            }))
        })
        .await
    }
}
