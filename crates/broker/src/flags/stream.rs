//! Who is told that flags of a set changed. A browser's `EventSource` sends no headers: what opens a stream stands in its
//! address, sealed, for one stream and a minute. A stream that broke off goes on with what only its events tell.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use strongroom_domain::audit::Action;
use strongroom_domain::canon::Canon;
use strongroom_domain::flag::FlagSetName;
use strongroom_domain::method::UsedState;
use strongroom_domain::{Error, Kind, NamespaceId, Result, Row, Time, Write};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::Broker;
use crate::authenticate::refused;
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::flags::AskedSet;
use crate::record::Effect;
use crate::request::Request;
use crate::watching::{Wanted, Watching};

/// How long an address opens a stream.
const HOLDS: Duration = Duration::from_mins(1);
/// Hexadecimal digits of a namespace.
const NAMESPACE: usize = 32;

/// What opens a stream: whose it is, and of which set.
#[derive(Serialize, Deserialize)]
struct Ticket {
    set: String,
    token: String,
    /// The page it was made for.
    page: Option<String>,
    until: Time,
    /// What the stream's events tell, and no address does.
    again: String,
}

/// A stream, and by what it goes on when it breaks off.
#[derive(Debug)]
pub struct FlagStream {
    pub watching: Watching,
    pub again: String,
}

impl Broker {
    /// What opens one stream of the set's changes, for whoever asks here.
    pub fn flag_ticket(&self, request: &Request, set: &FlagSetName) -> Result<String> {
        let bearing = request.token.as_ref().ok_or_else(refused)?;
        let ticket = Ticket {
            set: set.to_string(),
            token: bearing.token.expose_secret().to_owned(),
            page: request.page.as_deref().map(str::to_owned),
            until: self.0.clock.now() + HOLDS,
            again: HEXLOWER.encode(&self.0.entropy.bytes::<16>()),
        };
        let json = Zeroizing::new(serde_json::to_vec(&ticket).map_err(Error::internal)?);
        let keys = self.0.ring.keys.load();
        let sealed = keys.seal_stream(self.namespace(), self.0.entropy.bytes(), &json);
        Ok(format!("{}{}", self.namespace(), sealed.map_err(Error::internal)?))
    }

    /// The broker within the namespace of a ticket.
    pub fn room_of_ticket(&self, ticket: &str) -> Result<Self> {
        let namespace = ticket.get(..NAMESPACE).and_then(NamespaceId::parse);
        namespace.map(|id| self.within(id)).ok_or_else(refused)
    }

    /// Begins a stream; the ticket opens no other, but goes on with its own. That is on record, and so is the stream's end.
    pub async fn flag_stream(
        &self,
        request: Request,
        asked_of: &AskedSet,
        ticket: &str,
        again: Option<&str>,
    ) -> Result<FlagStream> {
        let sealed = ticket.get(NAMESPACE..).unwrap_or_default();
        let opened = self.0.ring.keys.load().open_stream(self.namespace(), sealed);
        let opened = opened
            .ok()
            .and_then(|json| serde_json::from_slice::<Ticket>(&json).ok());
        let opened = opened.ok_or_else(refused)?;
        let set = &FlagSetName::parse(&opened.set)?;
        let goes_on = again.is_some_and(|again| again.as_bytes().ct_eq(opened.again.as_bytes()).into());
        let until = opened.until;
        if !goes_on && until <= self.0.clock.now() {
            return Err(refused());
        }
        let mut request = request.with_token(Some(SecretString::from(opened.token)));
        // A browser names no page to the origin that the page itself is of.
        request.page = request.page.or_else(|| opened.page.map(Arc::from));
        let name = HEXLOWER.encode(&Sha256::digest(ticket.as_bytes()));
        let asked = Asked {
            action: Action::FlagStream,
            path: set.to_string(),
            locks: vec![self.key(Kind::UsedState, name.as_str())],
            id: ChangeId::Version(self.new_id().to_string()),
            fingerprint: Canon::new(Action::FlagStream.name()).done().into(),
            needs: Vec::new(),
        };
        let name = name.as_str();
        let wanted = Wanted::Set(set.clone());
        let may = &wanted;
        self.change(&request, asked, |attempt| async move {
            if attempt.session.set(asked_of)? != set {
                return Err(refused());
            }
            may.may_watch(&attempt.session, attempt.from)?;
            if goes_on {
                return Ok(Decided::Nothing(()));
            }
            if self.load::<UsedState>(Kind::UsedState, name).await?.value.is_some() {
                return Err(refused());
            }
            let used = UsedState { used_at: attempt.now };
            let record = self.new_record(Kind::UsedState, self.new_id(), name, Some(until), &used)?;
            Ok(Decided::Write(Decision {
                fresh: Vec::new(),
                writes: vec![Write::Insert(Row::Record(record))],
                touches: Vec::new(),
                effects: vec![Effect::new(Action::FlagStream, set.to_string())],
                answer: (),
            }))
        })
        .await?;
        Ok(FlagStream {
            watching: self.begin_watching(&request, wanted).await?,
            again: opened.again,
        })
    }
}
