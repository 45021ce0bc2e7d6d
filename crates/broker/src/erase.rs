//! Erasing what names a person: the principal's name and salt, and the clear columns of its entries. Entries keep the
//! principal's random id, so every MAC and proof stays whole.

use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::grant::Principal;
use strongroom_domain::policy::Capability;
use strongroom_domain::{Code, Digest, Error, Kind, PrincipalId, Result, Time};
use strongroom_ports::{Upkeep, UpkeepDone};

use crate::Broker;
use crate::change::{Asked, Decided, Decision};
use crate::record::Effect;
use crate::request::Request;
use crate::rows::touch;

#[derive(Debug, Serialize, Deserialize)]
struct Erased {
    at: Time,
}

impl Broker {
    /// Gives the time of the erasure.
    pub async fn erase_principal(&self, request: &Request, id: &str) -> Result<Time> {
        let access = Access::Principal(id, Capability::Sudo);
        let asked = Asked {
            action: Action::PrincipalErase,
            path: id.to_owned(),
            locks: vec![self.key(Kind::Principal, id)],
            id: self.change_id(request),
            fingerprint: Canon::new("principal.erase").text(id).done().into(),
            needs: vec![vec![access]],
        };
        let absent = || Error::new(Code::NotFound, "There is no such principal.");
        let erased = self
            .change(request, asked, |attempt| async move {
                attempt.authorise(access)?;
                let principal = PrincipalId::parse(id).ok_or_else(absent)?;
                let old = self.load_principal(principal).await?.value.ok_or_else(absent)?;
                let body = Principal {
                    name: None,
                    salt: Digest(self.0.entropy.bytes()),
                    erased_at: Some(attempt.now),
                    ..old.body.clone()
                };
                let (record, write) = self.upsert(Some(&old.record), Kind::Principal, id, &body)?;
                Ok(Decided::Write(Decision {
                    fresh: Vec::new(),
                    writes: vec![write],
                    touches: vec![touch(record.key(), Action::PrincipalErase, None)],
                    effects: vec![Effect {
                        digest: Some(record.digest()),
                        ..Effect::new(Action::PrincipalErase, id)
                    }],
                    answer: Erased { at: attempt.now },
                }))
            })
            .await?;
        let principal = PrincipalId::parse(id).ok_or_else(absent)?;
        while self
            .ask(
                self.0
                    .store
                    .upkeep(self.0.clock.now(), Upkeep::ErasePrincipal(principal)),
            )
            .await?
            == UpkeepDone::More
        {}
        Ok(erased.at)
    }
}
