//! A person's login in a browser, which comes back to a listener of ours on this machine.

use std::time::Duration;

use secrecy::SecretString;
use strongroom_api::auth::{AccessToken, CodeLogin, MethodLogin};
use strongroom_api::client::{Client, reqwest};
use strongroom_domain::Name;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::failure::Failure;
use super::output::note;

const PATH: &str = "/callback";
const MAX_HEAD: usize = 16 * 1024;
/// For one request to be read.
const PATIENCE: Duration = Duration::from_secs(5);
const DONE: &str = "Logged in. You can close this page.";
const REFUSED: &str = "The login was refused. You can close this page.";

/// What the browser came back with.
enum Back {
    Code(SecretString),
    /// The provider's word for why not.
    Refused(String),
}

pub(super) async fn log_in(client: &Client, method: &Name) -> Result<AccessToken, Failure> {
    let failed = |error| Failure::local("Cannot listen on this machine", &error);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    let redirect_uri = format!("http://127.0.0.1:{port}{PATH}");
    let started = client.start_login(method, redirect_uri).await?;
    // Nothing that a server says may steer the terminal.
    let url = started.authorization_url.replace(char::is_control, "?");
    note(&format!("Open this address in a browser on this machine:\n\n  {url}\n"));
    // What the browser carries is not the state, which it shall not see.
    let carried = reqwest::Url::parse(&started.authorization_url)
        .ok()
        .and_then(|url| field(&url, "state"));
    let carried =
        carried.ok_or_else(|| Failure::unexpected("The server began no login that a browser can go on with."))?;
    let waited = timeout(Duration::from_secs(started.expires_in), back(&listener, &carried));
    let back = waited
        .await
        .map_err(|_| Failure::usage("Nobody came back from the browser in time."))?;
    match back? {
        Back::Code(code) => {
            let login = CodeLogin {
                state: started.state,
                code,
            };
            Ok(client.login_by(method, &MethodLogin::Code(login)).await?)
        }
        Back::Refused(why) => Err(Failure::denied(format!("The login was refused there: {why}."))),
    }
}

/// The first request that brings this state; others are somebody else's, or the browser's own.
async fn back(listener: &TcpListener, state: &str) -> Result<Back, Failure> {
    loop {
        let accepted = listener.accept().await;
        let (mut stream, _) = accepted.map_err(|error| Failure::local("Cannot listen on this machine", &error))?;
        let head = timeout(PATIENCE, head(&mut stream)).await.unwrap_or_default();
        let found = found(&head, state);
        let (status, text) = match &found {
            Some(Back::Code(_)) => ("200 OK", DONE),
            Some(Back::Refused(_)) => ("200 OK", REFUSED),
            None => ("404 Not Found", "There is nothing here."),
        };
        let length = text.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\
             cache-control: no-store\r\nconnection: close\r\n\r\n{text}"
        );
        // Whether the page is seen changes nothing.
        drop(timeout(PATIENCE, stream.write_all(answer.as_bytes())).await);
        drop(timeout(PATIENCE, stream.shutdown()).await);
        if let Some(found) = found {
            return Ok(found);
        }
    }
}

async fn head(stream: &mut TcpStream) -> String {
    let (mut head, mut part) = (Vec::new(), [0; 2048]);
    while head.len() < MAX_HEAD && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part).await {
            Ok(read @ 1..) => head.extend(part.iter().take(read)),
            _ => break,
        }
    }
    String::from_utf8(head).unwrap_or_default()
}

/// A field that stands once in an address.
fn field(url: &reqwest::Url, name: &str) -> Option<String> {
    let mut values = url.query_pairs().filter(|(found, _)| found == name);
    let first = values.next().map(|(_, value)| value.into_owned());
    first.filter(|_| values.next().is_none())
}

fn found(head: &str, state: &str) -> Option<Back> {
    let target = head.strip_prefix("GET /")?.split(' ').next()?;
    let url = reqwest::Url::parse(&format!("http://127.0.0.1/{target}")).ok()?;
    let field = |name| field(&url, name);
    if url.path() != PATH || field("state").as_deref() != Some(state) {
        return None;
    }
    match (field("code"), field("error")) {
        (Some(code), None) => Some(Back::Code(code.into())),
        (None, Some(why)) => Some(Back::Refused(why.replace(char::is_control, "?"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn only_what_brings_the_state_counts() {
        let found = |target: &str| match found(&format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n"), "s t") {
            Some(Back::Code(code)) => Some(code.expose_secret().to_owned()),
            Some(Back::Refused(why)) => Some(format!("refused {why}")),
            None => None,
        };
        assert_eq!(found("/callback?code=a%2Fb&state=s%20t").as_deref(), Some("a/b"));
        assert_eq!(
            found("/callback?error=access_denied&state=s+t").as_deref(),
            Some("refused access_denied")
        );
        for other in [
            "/callback",
            "/callback?code=a",
            "/callback?code=a&state=other",
            "/callback?code=a&code=b&state=s%20t",
            "/callback?code=a&state=s%20t&state=other",
            "/callback?code=a&error=b&state=s%20t",
            "/other?code=a&state=s%20t",
            "/favicon.ico",
            "*",
            "",
        ] {
            assert_eq!(found(other), None, "{other}");
        }
    }
}
