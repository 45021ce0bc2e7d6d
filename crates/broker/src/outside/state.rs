//! What goes from a login's start to its end by way of who began it, sealed, so that a start keeps nothing. What makes it good
//! for one login is the record of its use.

use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use strongroom_domain::audit::Action;
use strongroom_domain::grant::Generation;
use strongroom_domain::method::UsedState;
use strongroom_domain::{Code, Error, Kind, ObjectId, Result, Time};
use zeroize::Zeroizing;

use super::{Fault, Outcome, Vouched};
use crate::Broker;
use crate::lanes::Recorded;
use crate::methods::Standing;
use crate::record::Effect;
use crate::request::Request;

/// What a login has to remember of its start: of which method it is, as that was, until when, and how it goes on.
#[derive(Serialize, Deserialize)]
struct State<F> {
    method: ObjectId,
    generation: Generation,
    expires_at: Time,
    #[serde(flatten)]
    flow: F,
}

/// By what a state is known to have been used.
pub(super) struct StateRecord {
    pub(super) name: String,
    pub(super) due: Time,
}

impl Broker {
    /// Records a start, and gives what it led to.
    pub(super) async fn begin<T>(
        &self,
        request: &Request,
        method: &str,
        starting: impl Future<Output = Outcome<T>>,
    ) -> Result<T> {
        let decided_at = self.0.node.revision();
        let started = starting.await?;
        let refusal = started
            .as_ref()
            .err()
            .map(|fault| Error::from(self.tell(method, fault)));
        // Nobody has proved anything: the entry names nobody.
        let effect = Effect::new(Action::LoginStart, "");
        let recorded = self
            .record_event(request, None, decided_at, effect, refusal.as_ref())
            .await?;
        match (recorded, started, refusal) {
            (Recorded::Committed(_), Ok(started), _) => Ok(started),
            (Recorded::Committed(_), Err(_), Some(refusal)) => Err(refusal),
            _ => Err(Error::from(Code::Unsettled)),
        }
    }

    /// What a login brings back of its start.
    pub(super) fn sealed_state(&self, standing: &Standing, lasts: Duration, flow: impl Serialize) -> Result<String> {
        let state = State {
            method: standing.body.id,
            generation: standing.body.generation,
            expires_at: self.0.clock.now() + lasts,
            flow,
        };
        let json = Zeroizing::new(serde_json::to_vec(&state).map_err(Error::internal)?);
        let keys = self.0.ring.keys.load_full();
        let sealed = keys.seal_state(self.namespace(), self.0.entropy.bytes(), &json);
        sealed.map_err(Error::internal)
    }

    /// How it goes on, if it began so at this method, is not too late, and was not used.
    pub(super) async fn opened_state<F: DeserializeOwned>(
        &self,
        standing: &Standing,
        state: &str,
    ) -> Outcome<(F, StateRecord)> {
        let opened = self.0.ring.keys.load().open_state(self.namespace(), state);
        let opened = opened
            .ok()
            .and_then(|json| serde_json::from_slice::<State<F>>(&json).ok());
        // What one issuer gave goes to no other.
        let of = (standing.body.id, standing.body.generation);
        let Some(opened) = opened.filter(|opened| (opened.method, opened.generation) == of) else {
            return Ok(Err(Fault::State("state_of_nobody")));
        };
        if opened.expires_at <= self.0.clock.now() {
            return Ok(Err(Fault::State("state_expired")));
        }
        let record = StateRecord {
            name: HEXLOWER.encode(&Sha256::digest(state.as_bytes())),
            due: opened.expires_at,
        };
        if self
            .load::<UsedState>(Kind::UsedState, &record.name)
            .await?
            .value
            .is_some()
        {
            return Ok(Err(Fault::State("state_used")));
        }
        Ok(Ok((opened.flow, record)))
    }
}

impl Vouched {
    /// Once, by the state of its login.
    pub(super) fn by_state(self, record: StateRecord) -> Self {
        Self {
            state: Some(record),
            ..self
        }
    }
}
