//! The way back in, for whoever holds the installation's key and its store but no token.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::{PrincipalId, Result, Row, Time, Write};

use crate::Broker;
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::record::Effect;
use crate::request::Request;
use crate::rows::touch;

/// Long enough to make an operator, too short to work with.
const LIFETIME: Duration = Duration::from_mins(15);
const NAME: &str = "recovered-admin";

pub struct RecoveredToken {
    pub token: SecretString,
    pub expires_at: Time,
}

impl std::fmt::Debug for RecoveredToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RecoveredToken(until {:?})", self.expires_at)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Made {
    expires_at: Time,
}

impl Broker {
    /// Issues a root token that lives for 15 minutes, to a principal of its own.
    pub async fn recover_admin(&self, request: &Request) -> Result<RecoveredToken> {
        let token = self.new_token_text();
        let principal = PrincipalId(self.0.entropy.bytes());
        let asked = Asked {
            action: Action::RecoverAdmin,
            path: principal.to_string(),
            locks: Vec::new(),
            id: ChangeId::Version(self.new_id().to_string()),
            fingerprint: Vec::new().into(),
            needs: vec![vec![Access::Recovery]],
        };
        let token_text = &token;
        let made = self
            .change(request, asked, |attempt| async move {
                attempt.authorise(Access::Recovery)?;
                let expires_at = attempt.now + LIFETIME;
                let (who, token) = self.root_token((principal, NAME), token_text, expires_at, attempt.now)?;
                Ok(Decided::Write(Decision {
                    fresh: Vec::new(),
                    touches: vec![touch(token.key(), Action::RecoverAdmin, None)],
                    effects: vec![Effect {
                        digest: Some(token.digest()),
                        ..Effect::new(Action::RecoverAdmin, principal.to_string())
                    }],
                    writes: vec![Write::Insert(Row::Record(who)), Write::Insert(Row::Record(token))],
                    answer: Made { expires_at },
                }))
            })
            .await?;
        Ok(RecoveredToken {
            token,
            expires_at: made.expires_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use strongroom_domain::Code;

    use super::LIFETIME;
    use crate::place::{Place, root_key};

    #[tokio::test]
    async fn a_recovered_token_ends_when_it_said() {
        let place = Place::new().await;
        let recovered = place.broker.recover_admin(&place.request()).await.unwrap();
        let request = place.request().with_token(Some(recovered.token));
        place.broker.slots(&request).await.unwrap();
        let lifetime = i64::try_from(LIFETIME.as_micros()).unwrap();
        place.clock.now.fetch_add(lifetime - 1_000_000, Ordering::Relaxed);
        place.broker.slots(&request).await.unwrap();
        place.clock.now.store(recovered.expires_at.0, Ordering::Relaxed);
        assert_eq!(
            place.broker.slots(&request).await.unwrap_err().code,
            Code::Unauthenticated
        );
    }

    /// Nothing but the write's own fence tells the other node of the token.
    #[tokio::test]
    async fn a_recovered_token_writes_on_another_node_at_once() {
        let place = Place::new().await;
        let other = Place::on(place.store.clone(), place.clock.clone(), &root_key())
            .await
            .unwrap();
        let recovered = place.broker.recover_admin(&place.request()).await.unwrap();
        let request = other.request().with_token(Some(recovered.token));
        other.broker.rotate_data_key(&request).await.unwrap();
    }

    #[tokio::test]
    async fn only_root_recovers() {
        let place = Place::new().await;
        let request = place.request().with_token(None);
        assert_eq!(
            place.broker.recover_admin(&request).await.unwrap_err().code,
            Code::Unauthenticated
        );
        place
            .broker
            .recover_admin(&place.request().of_operator())
            .await
            .unwrap();
    }
}
