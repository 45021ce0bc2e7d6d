//! One-time codes (RFC 6238) beside a password. A code is used once: the use is a row of its own, whose name is free once.

use std::time::Duration;

use secrecy::SecretString;
use strongroom_crypto::TotpCode;
use strongroom_domain::access::Access;
use strongroom_domain::audit::Action;
use strongroom_domain::grant::{Operator, Totp, UsedCode};
use strongroom_domain::policy::Capability;
use strongroom_domain::{Code, Digest, Error, Kind, Name, Result, Row, Time, Write};
use zeroize::Zeroizing;

use crate::Broker;
use crate::change::{Asked, ChangeId, Decided, Decision};
use crate::operators::absent;
use crate::record::{Attempt, Effect};
use crate::request::Request;
use crate::rows::{Checked, touch};
use crate::session::Proven;

/// How long a used code is remembered: for longer than it is good.
const REMEMBERED: Duration = Duration::from_mins(5);

/// A new secret: this is the only time it is shown.
pub struct NewTotp {
    pub secret: SecretString,
    /// For an authenticator, as a link or a QR code.
    pub uri: SecretString,
}

impl std::fmt::Debug for NewTotp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewTotp")
    }
}

fn wrong_code() -> Error {
    Error::new(Code::PermissionDenied, "The code is another one, or was used.")
}

impl Broker {
    /// Shows an operator a secret for its authenticator. Logins need codes of it once one was confirmed; until then they go
    /// on as before.
    pub async fn begin_totp(&self, request: &Request, current: &SecretString) -> Result<NewTotp> {
        let salt = Digest(self.0.entropy.bytes());
        let asked = self.about_own_totp();
        let name = self
            .change(request, asked, |attempt| async move {
                let old = self.own_record(&attempt).await?;
                self.check_own_password(&old, current).await?;
                let key = self.0.ring.keys.load().totp_key().map_err(Error::internal)?;
                let before = old.body.totp.clone();
                if before
                    .as_ref()
                    .is_some_and(|totp| totp.key != key && totp.salt.is_some())
                {
                    return Err(Error::new(Code::Conflict, "The codes there are must be removed first."));
                }
                let totp = Totp {
                    key,
                    salt: before.and_then(|totp| totp.salt),
                    pending: Some(salt),
                };
                let name = old.record.name.clone();
                self.write_totp(&old, Some(totp), Vec::new(), (old.record.id, name))
            })
            .await?;
        let (id, name) = name;
        let keys = self.0.ring.keys.load();
        let key = keys.totp_key().map_err(Error::internal)?;
        let secret = keys.totp_secret(key, id, &salt).map_err(Error::internal)?.to_text();
        let uri = Zeroizing::new(format!(
            "otpauth://totp/Strongroom:{name}?secret={}&issuer=Strongroom",
            *secret
        ));
        Ok(NewTotp {
            secret: secret.as_str().into(),
            uri: uri.as_str().into(),
        })
    }

    /// From now on a login needs a code, which was seen to work.
    pub async fn confirm_totp(&self, request: &Request, code: &str) -> Result<()> {
        let asked = self.about_own_totp();
        self.change(request, asked, |attempt| async move {
            let old = self.own_record(&attempt).await?;
            let totp = old.body.totp.as_ref();
            let pending = totp.and_then(|totp| Some((totp.key, totp.pending?)));
            let (key, salt) =
                pending.ok_or_else(|| Error::new(Code::Conflict, "No secret waits for its first code."))?;
            let used = self
                .use_code(&old, key, &salt, code, attempt.now)
                .await?
                .ok_or_else(wrong_code)?;
            let totp = Totp {
                key,
                salt: Some(salt),
                pending: None,
            };
            self.write_totp(&old, Some(totp), vec![used], ())
        })
        .await
    }

    /// Lets an operator log in without codes, who lost what makes them.
    pub async fn remove_totp(&self, request: &Request, name: &Name) -> Result<()> {
        let access = Access::Operator(name, Capability::Manage);
        let asked = Asked {
            needs: vec![vec![access]],
            ..self.about_operator(request, Action::TotpWrite, name)
        };
        self.change(request, asked, |attempt| async move {
            attempt.authorise(access)?;
            let old = self.load_operator(name).await?.value.ok_or_else(absent)?;
            self.write_totp(&old, None, Vec::new(), ())
        })
        .await
    }

    /// Whether a login's code is right, where one is needed; and what writes down that it was used.
    pub(crate) async fn second_factor(
        &self,
        operator: &Checked<Operator>,
        code: Option<&str>,
        now: Time,
    ) -> Result<Option<Vec<Write>>> {
        let needed = operator
            .body
            .totp
            .as_ref()
            .and_then(|totp| Some((totp.key, totp.salt?)));
        let Some((key, salt)) = needed else {
            return Ok(Some(Vec::new()));
        };
        // One who must wait is not told so: that would say that the password is right.
        let Ok(guess) = self.guess("one-time code", operator.record.id) else {
            return Ok(None);
        };
        let used = self
            .use_code(operator, key, &salt, code.unwrap_or_default(), now)
            .await?;
        self.guessed(&guess, used.is_some());
        Ok(used.map(|write| vec![write]))
    }

    /// None: it is no code of this moment, or it was used.
    async fn use_code(
        &self,
        operator: &Checked<Operator>,
        key: i64,
        salt: &Digest,
        code: &str,
        now: Time,
    ) -> Result<Option<Write>> {
        let secret = self.0.ring.keys.load().totp_secret(key, operator.record.id, salt);
        let secret = secret.map_err(Error::internal)?;
        let Some(step) = TotpCode::parse(code).and_then(|code| secret.step_of(code, now)) else {
            return Ok(None);
        };
        let name = format!("{}/{step}", operator.record.id);
        if self.load::<UsedCode>(Kind::UsedCode, &name).await?.value.is_some() {
            return Ok(None);
        }
        let record = self.new_record(
            Kind::UsedCode,
            self.new_id(),
            &name,
            Some(now + REMEMBERED),
            &UsedCode {},
        )?;
        Ok(Some(Write::Insert(Row::Record(record))))
    }

    fn about_own_totp(&self) -> Asked<'static> {
        Asked {
            action: Action::TotpWrite,
            path: String::new(),
            // Whose row it is, the token says: it is not known before, and two at once compare in the store.
            locks: Vec::new(),
            id: ChangeId::Version(self.new_id().to_string()),
            fingerprint: Vec::new().into(),
            needs: Vec::new(),
        }
    }

    /// The row of the operator that asks.
    pub(crate) async fn own_record(&self, attempt: &Attempt) -> Result<Checked<Operator>> {
        let Proven::Operator { id, .. } = attempt.session.whose.proven else {
            return Err(Error::invalid("Only an operator has a password, and codes beside it."));
        };
        let found = self.load_by_id::<Operator>(Kind::Operator, id).await?.value;
        found.ok_or_else(absent)
    }

    fn write_totp<T>(
        &self,
        old: &Checked<Operator>,
        totp: Option<Totp>,
        mut writes: Vec<Write>,
        answer: T,
    ) -> Result<Decided<T>> {
        let action = Action::TotpWrite;
        let operator = Operator {
            totp,
            ..old.body.clone()
        };
        let record = self.next_record(&old.record, &operator)?;
        writes.push(Write::Replace(old.record.rev, Row::Record(record.clone())));
        Ok(Decided::Write(Decision {
            fresh: Vec::new(),
            writes,
            touches: vec![touch(record.key(), action, None)],
            effects: vec![Effect {
                digest: Some(record.digest()),
                ..Effect::new(action, operator.principal.to_string())
            }],
            answer,
        }))
    }
}
