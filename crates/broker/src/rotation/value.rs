//! How the new value of a secret is made.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strongroom_crypto::next_signing_key;
use strongroom_domain::merge::merge;
use strongroom_domain::rotation::{Rotation, RotatorKind, is_user};
use strongroom_domain::target::{Engine, Target, Tls};
use strongroom_domain::{Payload, PayloadKind};
use strongroom_ports::{Entropy, Login};
use zeroize::Zeroizing;

/// All but what RFC 3986 §2.3 leaves unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// More than a credential takes.
const ROOM: usize = 16 * 1024;

/// What an application logs in with, as a secret's value has it.
pub(crate) struct Credential {
    pub(crate) username: String,
    pub(super) password: Zeroizing<String>,
}

impl Credential {
    pub(crate) fn login(&self) -> Login {
        Login {
            username: self.username.clone(),
            password: SecretString::from(self.password.as_str()),
        }
    }
}

/// Why no value can be made, for the operator.
pub(crate) type Made<T> = Result<T, String>;

/// A new value for the secret whose current one this is.
pub(super) fn make(
    rotation: &Rotation,
    target: Option<&Target>,
    current: Option<&Payload>,
    entropy: &dyn Entropy,
) -> Made<Payload> {
    let policy = &rotation.policy;
    if policy.rotator == RotatorKind::SigningKey {
        return next_signing_key(current, &|| entropy.bytes())
            .map_err(|_| "the current value is no signing key of this rotator".into());
    }
    let recipe = policy.recipe.clone().unwrap_or_default();
    let mut text = recipe
        .make(&mut |bytes| entropy.fill(bytes))
        .map_err(|error| error.detail)?;
    if !policy.rotator.has_users() {
        return Ok(Payload::text(std::mem::take(&mut *text)));
    }
    let target = target.ok_or("the target is gone")?;
    let now = current.map(credential_of).transpose()?.map(|found| found.username);
    // Those that were there when the policy was written: whoever writes values chooses nobody's password.
    let next = rotation.users.iter().find(|user| Some(user.as_str()) != now.as_deref());
    let username = next.or(rotation.users.first()).ok_or("there is no user")?;
    let mut fields = fields_of(rotation, target, current, username, &text)?;
    if let Some(current) = current {
        // What else the value has stays as it is written.
        fields = merge(text_of(current)?, &fields).map_err(|error| error.detail)?;
    }
    Payload::json(std::mem::take(&mut *fields)).map_err(|error| error.detail)
}

/// The user in a value, and one beside it: who take turns where the policy names nobody.
pub(super) fn taking_turns(current: Option<&Payload>) -> Made<Vec<String>> {
    let current = current.ok_or("there is no current value that names a user: give 'users', or write a value first")?;
    let now = credential_of(current)?.username;
    let beside = format!("{now}_alt");
    if !is_user(&beside) {
        return Err(format!(
            "the user beside '{now}' would have too long a name: give 'users'"
        ));
    }
    Ok(vec![now, beside])
}

fn text_of(payload: &Payload) -> Made<&str> {
    if payload.kind != PayloadKind::Json {
        return Err("the current value is no JSON object with 'username' and 'password'".into());
    }
    std::str::from_utf8(&payload.bytes).map_err(|_| "the current value is no text".into())
}

pub(crate) fn credential_of(payload: &Payload) -> Made<Credential> {
    #[derive(Deserialize)]
    struct Fields {
        username: String,
        password: String,
    }
    let fields: Fields = serde_json::from_str(text_of(payload)?)
        .map_err(|_| "the value is no JSON object with 'username' and 'password'".to_owned())?;
    Ok(Credential {
        username: fields.username,
        password: Zeroizing::new(fields.password),
    })
}

/// Where an application connects, as the current value has it: it may reach the server by another name than we do.
#[derive(Default, Deserialize)]
struct Place {
    host: Option<String>,
    port: Option<Value>,
    dbname: Option<String>,
}

/// What a database secret holds.
#[derive(Serialize)]
struct DatabaseSecret<'a> {
    engine: &'a str,
    host: &'a str,
    port: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    dbname: Option<&'a str>,
    username: &'a str,
    password: &'a str,
    url: &'a str,
}

fn fields_of(
    rotation: &Rotation,
    target: &Target,
    current: Option<&Payload>,
    username: &str,
    password: &str,
) -> Made<Zeroizing<String>> {
    let config = &target.config;
    let (host, port) = config.host_and_port().map_err(|error| error.detail)?;
    let place: Place = match current {
        Some(current) => serde_json::from_str(text_of(current)?).map_err(|_| "'host' and 'dbname' are no texts")?,
        None => Place::default(),
    };
    let at = (
        place.host.as_deref().unwrap_or(host),
        place.port.unwrap_or_else(|| port.into()),
    );
    // By another name or port there may be something between that speaks otherwise.
    let tls = if at == (host, port.into()) {
        config.tls
    } else {
        Tls::Off
    };
    let (host, port) = at;
    let usual = match rotation.users.as_slice() {
        // What PostgreSQL's clients took until now where nothing is said: the user's name, which is about to be another.
        [first, _] if config.engine == Engine::Postgres => Some(first.as_str()),
        _ => None,
    };
    let dbname = place.dbname.as_deref().or(config.database.as_deref()).or(usual);
    let url = url((config.engine, tls), host, &port, dbname, username, password);
    let secret = DatabaseSecret {
        engine: config.engine.name(),
        host,
        port: &port,
        dbname,
        username,
        password,
        url: &url,
    };
    // Never grown, so that no copy is left behind.
    let mut json = Zeroizing::new(Vec::with_capacity(ROOM));
    serde_json::to_writer(&mut *json, &secret).map_err(|_| "the value cannot be written")?;
    String::from_utf8(std::mem::take(&mut *json))
        .map(Zeroizing::new)
        .map_err(|_| "the value is no text".into())
}

/// A server that we reach by TLS alone is not to be reached in clear by whoever is given this.
pub(crate) fn url(
    (engine, tls): (Engine, Tls),
    host: &str,
    port: &Value,
    dbname: Option<&str>,
    username: &str,
    password: &str,
) -> Zeroizing<String> {
    let escaped = |text| utf8_percent_encode(text, RESERVED);
    let (scheme, query) = match (engine, tls) {
        (Engine::Postgres, Tls::Verify) => ("postgresql", "?sslmode=require"),
        (Engine::Postgres, Tls::Off) => ("postgresql", ""),
        (Engine::Redis, Tls::Verify) => ("rediss", ""),
        // Of MySQL's clients each has another parameter for it, and refuses those that it does not know.
        (engine, _) => (engine.name(), ""),
    };
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let port = port.as_str().map_or_else(|| port.to_string(), str::to_owned);
    let path = dbname.map_or_else(String::new, |name| format!("/{}", escaped(name)));
    let (username, password) = (escaped(username), escaped(password));
    let mut url = Zeroizing::new(String::with_capacity(ROOM));
    // Writing to a string does not fail.
    let _ = write!(url, "{scheme}://{username}:{password}@{host}:{port}{path}{query}");
    url
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_url_says_what_it_takes_to_reach_a_server_by_tls() {
        for (engine, tls, expected) in [
            (
                "postgres",
                "verify",
                "postgresql://a%40b:p%2F@[fd00::1]:7/d%20b?sslmode=require",
            ),
            ("postgres", "off", "postgresql://a%40b:p%2F@[fd00::1]:7/d%20b"),
            ("mysql", "verify", "mysql://a%40b:p%2F@[fd00::1]:7/d%20b"),
            ("mysql", "off", "mysql://a%40b:p%2F@[fd00::1]:7/d%20b"),
            ("redis", "verify", "rediss://a%40b:p%2F@[fd00::1]:7/d%20b"),
            ("redis", "off", "redis://a%40b:p%2F@[fd00::1]:7/d%20b"),
        ] {
            let way = serde_json::from_value(json!([engine, tls])).unwrap();
            let url = url(way, "fd00::1", &json!(7), Some("d b"), "a@b", "p/");
            assert_eq!(*url, expected, "{engine} {tls}");
        }
    }
}
