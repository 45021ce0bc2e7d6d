//! The server that a verb talks to and the token it shows there. The environment is read here and nowhere else.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use strongroom_api::auth::ClientLogin;
use strongroom_api::batch::{BatchWrite, BatchWritten, Item};
use strongroom_api::client::{self, Client};
use strongroom_api::tokens::WhichToken;
use strongroom_api::{Page, PageQuery};
use strongroom_domain::Time;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::login_file::{Kept, LoginFile};
use super::output::Output;
use super::{Common, input, vouched};
use crate::system;

const TOKEN: &str = "STRONGROOM_TOKEN";
const CLIENT_ID: &str = "STRONGROOM_CLIENT_ID";
const CLIENT_SECRET: &str = "STRONGROOM_CLIENT_SECRET";
const CLIENT_KEY_FILE: &str = "STRONGROOM_CLIENT_KEY_FILE";

/// Whether a variable holds, or leads to, what proves who we are: no child inherits it.
pub(super) fn is_credential(variable: &str) -> bool {
    variable == TOKEN
        || variable.strip_prefix(TOKEN) == Some("_FILE")
        || variable.starts_with(CLIENT_SECRET)
        || variable == CLIENT_KEY_FILE
        || variable == vouched::ACCOUNT_FILE
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) output: Output,
}

impl Session {
    pub(super) async fn open(common: &Common) -> Result<Self, Failure> {
        Ok(Self {
            client: client(common).await?,
            output: Output::new(common.output),
        })
    }
}

async fn client(common: &Common) -> Result<Client, Failure> {
    if common.show_curl {
        return common.client(None);
    }
    let token = match variable_or_file(TOKEN)? {
        Some(token) => {
            common.tell("with the token that the environment names");
            token
        }
        None => logged_in(common).await?,
    };
    common.client(Some(token))
}

/// By the first of what the environment offers; else what `login` keeps.
async fn logged_in(common: &Common) -> Result<SecretString, Failure> {
    if let Some(login) = client_login()? {
        common.tell(&format!("as the client {}", login.client_id));
        return Ok(common.client(None)?.login(&login).await?.access_token);
    }
    if let Some(token) = vouched::of_environment(common).await? {
        return Ok(token);
    }
    common.tell("with what 'login' keeps");
    kept(common).await
}

/// The command that opens a file for its user.
pub(super) fn editor() -> Result<Zeroizing<String>, Failure> {
    for name in ["VISUAL", "EDITOR"] {
        if let Some(command) = variable(name)? {
            return Ok(command);
        }
    }
    Ok(Zeroizing::new("vi".to_owned()))
}

/// Many writes in one call, all or none of them where `atomic`.
pub(super) async fn write_all(
    session: &Session,
    writes: Vec<BatchWrite>,
    atomic: bool,
) -> Result<Vec<BatchWritten>, Failure> {
    let answer = session.client.batch_write(writes, atomic).await?;
    let items = answer.items.into_iter().map(Item::into_result);
    Ok(items.collect::<Result<_, _>>()?)
}

/// All pages of a noun's list as one.
pub(super) async fn all_pages<T>(
    ask: impl AsyncFn(PageQuery) -> Result<Page<T>, client::Error>,
) -> Result<Page<T>, Failure> {
    let mut all = Page {
        items: Vec::new(),
        next_cursor: None,
    };
    let mut query = PageQuery::default();
    loop {
        let page = ask(query.clone()).await?;
        all.items.extend(page.items);
        if page.next_cursor.is_none() {
            return Ok(all);
        }
        query.cursor = page.next_cursor;
    }
}

/// A client's login, where the environment names one. Half of one is a mistake, and no reason to act as somebody else.
fn client_login() -> Result<Option<ClientLogin>, Failure> {
    match (variable(CLIENT_ID)?, variable_or_file(CLIENT_SECRET)?) {
        (Some(client_id), Some(client_secret)) => Ok(Some(ClientLogin {
            client_id: client_id.to_string(),
            client_secret,
        })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(Failure::usage(format!(
            "{CLIENT_ID} is set without {CLIENT_SECRET} or {CLIENT_SECRET}_FILE."
        ))),
        (None, Some(_)) => Err(Failure::usage(format!("{CLIENT_SECRET} is set without {CLIENT_ID}."))),
    }
}

/// The token that `login` keeps, renewed where half of its time is over.
async fn kept(common: &Common) -> Result<SecretString, Failure> {
    let file = login_file()?;
    let kept = file.as_ref().map(|file| file.read(&common.addr)).transpose()?.flatten();
    if let (Some(file), Some(kept)) = (&file, &kept)
        && kept.renew_at.is_some_and(|at| at <= system::now())
    {
        let client = common.client(Some(kept.token.clone()))?;
        // One that is refused is over, and what follows says so.
        if let Ok(token) = client.renew_token(&WhichToken::default()).await {
            let renewed = Kept {
                token: kept.token.clone(),
                renew_at: token.expires_at.map(half_way),
            };
            file.write(&renewed, &common.addr)?;
        }
    }
    kept.map(|kept| kept.token).ok_or_else(|| {
        Failure::usage("There is no token.").help(format!(
            "Run 'strongroom login'; or set {TOKEN} or {TOKEN}_FILE; or {CLIENT_ID} with {CLIENT_SECRET} or \
             {CLIENT_SECRET}_FILE; or, where others vouch for us, {}.",
            vouched::ROLE
        ))
    })
}

/// When half of the time until then is over.
pub(super) fn half_way(until: Time) -> Time {
    let now = system::now();
    now + until.since(now) / 2
}

/// Where `login` keeps its token; none: the user has no directory for it.
pub(super) fn login_file() -> Result<Option<LoginFile>, Failure> {
    // A relative path would be another place in each folder.
    let whole = |path: Zeroizing<String>| Some(PathBuf::from(path.as_str())).filter(|path| path.is_absolute());
    let configurations = variable("XDG_CONFIG_HOME")?.and_then(whole);
    let home = || Ok::<_, Failure>(variable("HOME")?.and_then(whole).map(|home| home.join(".config")));
    let found = configurations.map_or_else(home, |found| Ok(Some(found)))?;
    Ok(found.map(|found| LoginFile::within(&found)))
}

/// What is set in the environment that wins over a login.
pub(super) fn overriding() -> Result<Option<String>, Failure> {
    for name in [TOKEN, "STRONGROOM_TOKEN_FILE", CLIENT_ID, vouched::ROLE] {
        if variable(name)?.is_some() {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

/// From the variable, or from the file that the variable `…_FILE` names, without the newline at its end.
fn variable_or_file(name: &str) -> Result<Option<SecretString>, Failure> {
    let file_name = format!("{name}_FILE");
    match (variable(name)?, variable(&file_name)?) {
        (Some(_), Some(_)) => Err(Failure::usage(format!(
            "Both {name} and {file_name} are set; unset one."
        ))),
        (Some(value), None) => Ok(Some(value.as_str().into())),
        (None, Some(file)) => {
            let bytes = input::file(Path::new(file.as_str()))?;
            let text = std::str::from_utf8(&bytes)
                .map_err(|_| Failure::usage(format!("The file that {file_name} names is not UTF-8 text.")))?;
            Ok(Some(text.trim_end_matches(['\r', '\n']).into()))
        }
        (None, None) => Ok(None),
    }
}

/// A variable's value; an empty one is as good as unset.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place of the client where the environment is read"
)]
pub(super) fn variable(name: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    match std::env::var(name).map(Zeroizing::new) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::usage(format!("{name} is not UTF-8 text."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_known_by_name() {
        let secret = ["", "_FILE", "_2"].map(|end| format!("{CLIENT_SECRET}{end}"));
        assert!(secret.iter().all(|name| is_credential(name)));
        assert!(is_credential("STRONGROOM_CLIENT_KEY_FILE") && !is_credential("STRONGROOM_CLIENT_CERT_FILE"));
        assert!(is_credential("STRONGROOM_TOKEN") && is_credential("STRONGROOM_TOKEN_FILE"));
        assert!(!is_credential("STRONGROOM_TOKENS") && !is_credential(CLIENT_ID) && !is_credential("PATH"));
    }
}
