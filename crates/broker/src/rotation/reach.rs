//! A step at a target.

use std::time::Duration;

use secrecy::SecretString;
use serde::Serialize;
use strongroom_crypto::verifier;
use strongroom_domain::rotation::{Act, Answer, Rotation, Step};
use strongroom_domain::target::{Engine, Target};
use strongroom_domain::{Code, Error, Name, Payload, SecretPath};
use strongroom_ports::{Order, Server, TargetError, Verifier};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::fits;
use super::value::{Credential, credential_of};
use crate::Broker;
use crate::faults;
use crate::read::no_secret;
use crate::targets::server_of;
use crate::webhooks::{Message, WebhookFault};

/// What keeps a step from being done.
pub(super) enum Fault {
    Target(TargetError),
    Webhook(WebhookFault),
    /// What is stored here does not lead to a target.
    Told(String),
    /// Nothing is known of the target.
    Ours(Error),
}

impl From<TargetError> for Fault {
    fn from(error: TargetError) -> Self {
        Self::Target(error)
    }
}

impl From<WebhookFault> for Fault {
    fn from(fault: WebhookFault) -> Self {
        Self::Webhook(fault)
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Told(reason)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

fn failed(reason: &impl ToString, permanent: bool) -> Answer {
    Answer::Failed {
        reason: reason.to_string(),
        permanent,
    }
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

/// A step, as a webhook is told it.
#[derive(Serialize)]
struct Told<'a> {
    step: &'a str,
    path: &'a str,
    version: i64,
    id: &'a str,
    fence: i64,
    /// The value.
    pending: &'a str,
}

impl Broker {
    /// Errors are our own: nothing is known of the step, which is tried again once the claim on it is over.
    pub(super) async fn reach(
        &self,
        path: &SecretPath,
        rotation: &Rotation,
        act: Act,
        until: Instant,
    ) -> Result<Answer, Error> {
        let reached = tokio::time::timeout_at(until, self.reach_target(path, rotation, act, until)).await;
        match reached.unwrap_or(Err(TargetError::TimedOut.into())) {
            Ok(()) => Ok(Answer::Done),
            Err(Fault::Target(TargetError::LoginRefused)) => Ok(Answer::LoginRefused),
            Err(Fault::Target(error)) => Ok(failed(&error, error.is_permanent())),
            Err(Fault::Webhook(fault)) => Ok(failed(&fault, fault.is_permanent())),
            Err(Fault::Told(reason)) => Ok(failed(&reason, true)),
            Err(Fault::Ours(error)) => Err(error),
        }
    }

    async fn reach_target(
        &self,
        path: &SecretPath,
        rotation: &Rotation,
        act: Act,
        until: Instant,
    ) -> Result<(), Fault> {
        let (Act::Set { version, .. } | Act::Test { version }) = act else {
            return Ok(());
        };
        let Some(name) = &rotation.policy.target else {
            return Err("there is no target".to_owned().into());
        };
        let target = self.target_of(name).await?;
        if target.config.server() != rotation.server {
            let was = &rotation.server;
            return Err(format!(
                "the target was '{was}' when the rotation was written: write it again if its values are to go where that is now"
            )
            .into());
        }
        let rotator = rotation.policy.rotator;
        if !fits(rotator, &target.config) {
            let (rotator, speaks) = (rotator.name(), target.config.speaks());
            return Err(format!("the target speaks {speaks} by now, which the rotator '{rotator}' does not").into());
        }
        let head = self.head(path).await?.ok_or_else(no_secret)?;
        let payload = self.open_version_of(path, &head, version, self.0.clock.now()).await?;
        let _turn = self.turn_at(name).await;
        if target.config.engine == Engine::Webhook {
            return self.tell_step(path, rotation, &target, version, &payload).await;
        }
        let credential = credential_of(&payload)?;
        let server = server_of(&target)?;
        match act {
            // Once more, even where an earlier order came through: the target then knows this fence, and takes none that comes
            // later from before it. One for the administrator's own password keeps us out once it came through.
            Act::Set { tried, .. } => match self.set_at(rotation, &target, &credential, until).await {
                Err(Fault::Target(TargetError::LoginRefused))
                    if tried && self.can_log_in(&server, &credential, until).await.is_ok() =>
                {
                    Ok(())
                }
                set => set,
            },
            Act::Test { .. } | Act::Rest => {
                let step = match rotation.run.as_ref().map(|run| run.step) {
                    Some(Step::Verify) => "rotation.verify",
                    _ => "rotation.test",
                };
                faults::before(step).await;
                Ok(faults::heard(step, self.can_log_in(&server, &credential, until).await).await?)
            }
        }
    }

    async fn target_of(&self, name: &Name) -> Result<Target, Fault> {
        let found = self.load_target(name).await?;
        found.ok_or_else(|| format!("there is no target '{name}'").into())
    }

    async fn can_log_in(&self, server: &Server, credential: &Credential, until: Instant) -> Result<(), TargetError> {
        let login = credential.login();
        self.0.connectors.rotator.test(server, &login, left(until)).await
    }

    async fn set_at(
        &self,
        rotation: &Rotation,
        target: &Target,
        credential: &Credential,
        until: Instant,
    ) -> Result<(), Fault> {
        // What was written under a label of ours may name anybody.
        if !rotation.users.contains(&credential.username) {
            let whose = rotation.users.join("' and '");
            return Err(format!("the version names another user than '{whose}', whose rotation this is").into());
        }
        let way = self.way_to(target).await??;
        let told = verifier(target.config.engine, &credential.password, &|| self.0.entropy.bytes())
            .map_err(|_| "the password is not of printable ASCII alone".to_owned())?;
        // The second is made, and kept, like the first. Of users that the operator named none is made.
        let first = rotation.users.first().filter(|_| rotation.policy.users.is_empty());
        let like = first.map(String::as_str).filter(|first| *first != credential.username);
        let order = Order {
            within: left(until),
            ..way.order(rotation.fence)
        };
        let verifier = Verifier(SecretString::from(told.as_str()));
        let username = &credential.username;
        faults::before("rotation.set").await;
        let set = self.0.connectors.rotator.set(order, username, like, &verifier).await;
        faults::heard("rotation.set", set).await?;
        Ok(())
    }

    async fn tell_step(
        &self,
        path: &SecretPath,
        rotation: &Rotation,
        target: &Target,
        version: i64,
        value: &Payload,
    ) -> Result<(), Fault> {
        let step = match rotation.run.as_ref().map(|run| run.step) {
            Some(Step::Test) => "test",
            Some(Step::Verify) => "finish",
            _ => "set",
        };
        let key = self.administers(target).await??;
        // The same for each time that it is sent, and another for each step of each run: a version may be set again.
        let began = rotation.run.as_ref().map_or(0, |run| run.began_at.0);
        let id = format!("{}_{began}_{version}_{step}", rotation.id);
        let pending = std::str::from_utf8(&value.bytes).map_err(|_| "the value is no text".to_owned())?;
        let told = Told {
            step,
            path: path.as_str(),
            version,
            id: &id,
            fence: rotation.fence,
            pending,
        };
        let mut body = Zeroizing::new(Vec::with_capacity(2 * value.bytes.len() + 1024));
        serde_json::to_writer(&mut *body, &told).map_err(|_| Error::from(Code::Internal))?;
        let message = Message { id: &id, body };
        Ok(self.send(target, &key, message).await?)
    }
}
