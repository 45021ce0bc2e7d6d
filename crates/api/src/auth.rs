//! `POST auth/{method}/login`, `PUT auth/password` and `GET auth/whoami`

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use strongroom_domain::grant::PrincipalKind;
use strongroom_domain::{Name, PrincipalId, Time};

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientLogin {
    pub client_id: String,
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub client_secret: SecretString,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AccessToken {
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub access_token: SecretString,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds.
    pub expires_in: u32,
    /// What names the token where it is looked up or revoked, and in the log.
    #[schemars(regex(pattern = crate::schema::OBJECT_ID))]
    pub accessor: String,
    /// A person's login: until when it can be renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewable_until: Option<Time>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordLogin {
    pub username: String,
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub password: SecretString,
    /// A one-time code, of an operator that has them: six digits, good once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub totp: Option<String>,
}

/// Begins one-time codes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginTotp {
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub current_password: SecretString,
}

/// The only answer that shows the secret.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct NewTotp {
    /// In base 32, as authenticators take it when it is typed.
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub secret: SecretString,
    /// The same as a link, for a QR code.
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub uri: SecretString,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmTotp {
    /// Six digits.
    #[schemars(regex(pattern = "^[0-9]{6}$"))]
    pub code: String,
}

/// What a login method of that type takes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum MethodLogin {
    Token(TokenLogin),
    Code(CodeLogin),
    Device(DeviceLogin),
    Certificate(CertificateLogin),
}

/// Of `jwt`, `kubernetes` and `spiffe-jwt`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenLogin {
    pub role: String,
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub jwt: SecretString,
}

/// Of `cert`: the certificate is the connection's.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateLogin {
    pub role: String,
}

/// Of `oidc`: the state as `start` gave it, and the code that the browser brought back.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeLogin {
    pub state: String,
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub code: SecretString,
}

/// Of `oidc`: the device code as `start` gave it. Until somebody has confirmed the login the answer is 400
/// `authorization_pending`, or 429 `slow_down`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceLogin {
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub device_code: SecretString,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartLogin {
    /// `http://127.0.0.1:PORT/PATH`: where the browser comes back to, on the same machine. Absent: the login is confirmed on
    /// another device (RFC 8628), where the method lets it be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub redirect_uri: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum LoginStarted {
    Browser(BrowserStarted),
    Device(DeviceStarted),
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeviceStarted {
    /// For the login that follows, which is asked for again until it is confirmed.
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub device_code: SecretString,
    /// To be typed in there.
    pub user_code: String,
    /// Where to type it in.
    pub verification_uri: String,
    /// The same with the code in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_uri_complete: Option<String>,
    /// Seconds until the codes are good no more.
    pub expires_in: u64,
    /// Seconds to wait before each question.
    pub interval: u64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct BrowserStarted {
    /// Where to send the browser.
    pub authorization_url: String,
    /// For the login that follows. It goes through no browser: what stands in the address is another one.
    pub state: String,
    /// Seconds until the state is good no more.
    pub expires_in: u64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String")]
    pub current_password: SecretString,
    /// 12 to 1,024 bytes.
    #[serde(with = "crate::exposed")]
    #[schemars(with = "String", length(min = 12, max = 1024))]
    pub password: SecretString,
}

/// Who a token stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhoAmI {
    pub principal: PrincipalId,
    pub kind: PrincipalKind,
    /// Absent: it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// May do everything, whatever the policies say.
    pub root: bool,
    /// A workload's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = crate::schema::OBJECT_ID))]
    pub client_id: Option<String>,
    /// A workload's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Name>,
    /// Whose word was taken; absent: its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Name>,
    /// A person's.
    pub groups: Vec<Name>,
    /// Its own, its role's and its groups' together.
    pub policies: Vec<Name>,
    /// Absent: it does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}
