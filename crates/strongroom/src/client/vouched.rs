//! Logins with what the place gives in which we run: a job of GitHub Actions, a pod of Kubernetes.

use std::path::Path;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use strongroom_api::auth::{MethodLogin, TokenLogin};
use strongroom_api::client::reqwest;
use strongroom_domain::Name;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::session::variable;
use super::{Common, input};

pub(super) const ROLE: &str = "STRONGROOM_ROLE";
const METHOD: &str = "STRONGROOM_METHOD";
const AUDIENCE: &str = "STRONGROOM_ID_TOKEN_AUDIENCE";
pub(super) const ACCOUNT_FILE: &str = "STRONGROOM_SERVICE_ACCOUNT_FILE";
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const GITHUB_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const GITHUB_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
const TIMEOUT: Duration = Duration::from_secs(10);

/// A token of others, and the method that it is for unless one is named.
struct Found {
    jwt: SecretString,
    method: &'static str,
    place: &'static str,
}

/// The token for the role that the environment names; none: it names none.
pub(super) async fn of_environment(common: &Common) -> Result<Option<SecretString>, Failure> {
    let Some(role) = variable(ROLE)? else {
        return Ok(None);
    };
    let found = found(common).await?.ok_or_else(|| {
        Failure::usage(format!("{ROLE} is set, and nobody here vouches for us.")).help(format!(
            "In a job of GitHub Actions give it 'permissions: id-token: write'; in a pod of Kubernetes name the token's file \
             in {ACCOUNT_FILE}; elsewhere unset {ROLE}."
        ))
    })?;
    let method = variable(METHOD)?.map_or_else(|| found.method.to_owned(), |method| method.to_string());
    let login = TokenLogin {
        role: role.to_string(),
        jwt: found.jwt,
    };
    let (name, client) = (Name::parse(&method)?, common.client(None)?);
    let answer = client.login_by(&name, &MethodLogin::Token(login)).await?;
    let (place, role) = (found.place, role.as_str());
    common.tell(&format!("as {place} in the role {role}, by the method {method}"));
    Ok(Some(answer.access_token))
}

/// For `login`, where no file is named.
pub(super) async fn of_this_place(common: &Common) -> Result<SecretString, Failure> {
    let found = found(common).await?;
    found.map(|found| found.jwt).ok_or_else(|| {
        Failure::usage("There is no token of others here.").help(
            "Give --token-file, or --client-cert and --client-key for a method of type 'cert'; without --role a browser logs in.",
        )
    })
}

async fn found(common: &Common) -> Result<Option<Found>, Failure> {
    if let (Some(url), Some(token)) = (variable(GITHUB_URL)?, variable(GITHUB_TOKEN)?) {
        return Ok(Some(Found {
            jwt: of_github(common, &url, &token).await?,
            method: "github",
            place: "a job of GitHub Actions",
        }));
    }
    let file = variable(ACCOUNT_FILE)?;
    let path = Path::new(file.as_ref().map_or(ACCOUNT, |file| file.as_str()));
    if file.is_none() && !path.exists() {
        return Ok(None);
    }
    Ok(Some(Found {
        jwt: of_file(path)?,
        method: "kubernetes",
        place: "a service account of Kubernetes",
    }))
}

/// A file's text, without the newline at its end; `-`: stdin.
pub(super) fn of_file(path: &Path) -> Result<SecretString, Failure> {
    let bytes = input::file_or_stdin(path)?;
    let text =
        std::str::from_utf8(&bytes).map_err(|_| Failure::usage(format!("{} is not UTF-8 text.", path.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).into())
}

#[derive(Deserialize)]
struct GithubAnswer {
    value: String,
}

/// A token for this server alone.
async fn of_github(common: &Common, url: &str, token: &str) -> Result<SecretString, Failure> {
    let refuse = |what: &str| Failure::unexpected(format!("GitHub gives no token: {what}."));
    let mut url = reqwest::Url::parse(url).map_err(|_| refuse("its address is none"))?;
    let audience = variable(AUDIENCE)?;
    let audience = audience.as_ref().map(|audience| audience.as_str());
    let audience = audience.unwrap_or(common.addr.trim_end_matches('/'));
    url.query_pairs_mut().append_pair("audience", audience);
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .build()
        .map_err(|_| refuse("no request can be made"))?;
    let answer = client.get(url).bearer_auth(token).send().await;
    let answer = answer.map_err(|_| refuse("it cannot be reached"))?;
    let status = answer.status();
    if !status.is_success() {
        return Err(refuse(&format!("it answers {status}")));
    }
    let body = answer.bytes().await.map_err(|_| refuse("its answer breaks off"))?;
    let answer: GithubAnswer = serde_json::from_slice(&body).map_err(|_| refuse("its answer holds none"))?;
    let jwt = SecretString::from(Zeroizing::new(answer.value).as_str());
    if jwt.expose_secret().is_empty() {
        return Err(refuse("its answer holds none"));
    }
    Ok(jwt)
}
