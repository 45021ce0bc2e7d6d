//! Service accounts of Kubernetes: the token by the cluster's keys, and where the method says so by its TokenReview, which
//! knows of pods and accounts that are gone.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use strongroom_crypto::{Expected, KeyUse, OutsideClaims, Presented, Verified};
use strongroom_domain::method::{Algorithm, KubernetesMethod, Review, ServiceAccount};
use strongroom_ports::{Call, CallBody, FetchError};
use zeroize::Zeroizing;

use super::tokens::role_of;
use super::{Fault, Vouched, Wants};
use crate::Broker;
use crate::issuers::{IssuerFault, Source};
use crate::methods::Standing;

/// How long a cluster's yes is taken without asking again.
const KEPT: Duration = Duration::from_mins(1);
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

#[derive(Deserialize)]
struct Bound {
    namespace: String,
    serviceaccount: Account,
}

#[derive(Deserialize)]
struct Account {
    name: String,
    uid: String,
}

/// What a cluster says of a token. What is missing is not so.
#[derive(Deserialize)]
struct Answer {
    status: Status,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    authenticated: bool,
    error: String,
    audiences: Vec<String>,
    user: User,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct User {
    username: String,
    uid: String,
}

impl Broker {
    pub(super) async fn vouch_account(
        &self,
        standing: &Standing,
        method: &KubernetesMethod,
        reviewer: Option<&SecretString>,
        role: &str,
        jwt: &SecretString,
    ) -> Result<Vouched, Fault> {
        let presented = Presented::parse(jwt.expose_secret())?;
        let expected = Expected {
            issuer: Some(&method.issuer),
            audiences: &method.audiences,
            algorithms: &Algorithm::ALL,
            max_lifetime: method.max_token_lifetime(),
        };
        let source = Source::new(&method.issuer, &method.keys, KeyUse::Signatures);
        let claims = self.verified(&source, &presented, &expected).await?;
        let account = account(&claims)?;
        let wants = Wants::Role(role_of(role)?);
        if let Some(review) = &method.review {
            let seen = (standing.key.namespace, standing.body.id, standing.rev.map(|rev| rev.0));
            let seen = Sha256::digest(format!("{seen:?} {}", jwt.expose_secret()).as_bytes()).into();
            let now = self.0.clock.now();
            if self.0.outside.reviews.get(&seen).is_none_or(|until| until <= now) {
                // The token itself, where the method has none to ask with: it may ask about itself.
                let reviewer = reviewer.unwrap_or(jwt);
                self.review(review, &method.audiences, reviewer, jwt, &account).await?;
                self.0.outside.reviews.insert(seen, now + KEPT);
            }
        }
        let mut vouched = Vouched::of(&claims, &method.issuer, wants);
        // An account that is made anew under its name is another one.
        vouched.subject = format!("{} {}", claims.sub, account.uid.as_deref().unwrap_or_default());
        vouched.called = Some(claims.sub.clone());
        vouched.service_account = Some(account);
        Ok(vouched)
    }

    async fn review(
        &self,
        review: &Review,
        audiences: &[String],
        reviewer: &SecretString,
        jwt: &SecretString,
        account: &ServiceAccount,
    ) -> Result<(), Fault> {
        let url = format!("{}{REVIEWS}", review.host.trim_end_matches('/'));
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": { "token": jwt.expose_secret(), "audiences": audiences },
        });
        let body = CallBody::Json(Zeroizing::new(body.to_string().into_bytes()));
        let call = Call::post(&url, body)
            .trusting(review.ca_pem.as_deref())
            .bearing(Some(reviewer));
        let answer = self.0.connectors.fetch.fetch(call).await;
        let answer = answer.map_err(|error: FetchError| Fault::Issuer(IssuerFault::Fetch(error)))?;
        match answer.status {
            200 | 201 => {}
            // The account that asks is gone, or was never let.
            401 | 403 => return Err(Fault::Cluster("review_not_permitted")),
            status => return Err(Fault::Issuer(IssuerFault::Status(status))),
        }
        let answer: Answer =
            serde_json::from_slice(&answer.body).map_err(|_| Fault::Cluster("review_not_understood"))?;
        check_review(&answer.status, audiences, account)
    }
}

fn check_review(status: &Status, audiences: &[String], account: &ServiceAccount) -> Result<(), Fault> {
    let refuse = |what| Err(Fault::Cluster(what));
    if !status.error.is_empty() {
        return refuse("review_error");
    }
    if !status.authenticated {
        return refuse("review_not_authenticated");
    }
    // A server that knows of no audiences answers with none.
    if !status.audiences.iter().any(|audience| audiences.contains(audience)) {
        return refuse("review_audience");
    }
    let parts: Vec<&str> = status.user.username.split(':').collect();
    if parts != ["system", "serviceaccount", &account.namespace, &account.name] {
        return refuse("review_username");
    }
    if account.uid.as_deref() != Some(status.user.uid.as_str()) {
        return refuse("review_uid");
    }
    Ok(())
}

/// Whose token it is. One that is kept as a secret, for ever and for every audience, is no bound one.
fn account(claims: &Verified<OutsideClaims>) -> Result<ServiceAccount, Fault> {
    if claims
        .all
        .keys()
        .any(|name| name.starts_with("kubernetes.io/serviceaccount/"))
    {
        return Err(Fault::Cluster("legacy_token"));
    }
    let bound = claims.all.get("kubernetes.io").unwrap_or(&Value::Null);
    let Bound {
        namespace,
        serviceaccount: Account { name, uid },
    } = Bound::deserialize(bound).map_err(|_| Fault::Cluster("no_service_account"))?;
    let parts: Vec<&str> = claims.sub.split(':').collect();
    if uid.is_empty() || parts != ["system", "serviceaccount", &namespace, &name] {
        return Err(Fault::Cluster("no_service_account"));
    }
    Ok(ServiceAccount {
        namespace,
        name,
        uid: Some(uid),
    })
}
