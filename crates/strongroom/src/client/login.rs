//! `strongroom login` and `strongroom logout`

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use strongroom_api::auth::{AccessToken, CertificateLogin, MethodLogin, PasswordLogin, TokenLogin};
use strongroom_api::client;
use strongroom_api::tokens::Revoke;
use strongroom_domain::Name;

use super::failure::Failure;
use super::login_file::Kept;
use super::output::{Output, warn};
use super::{Common, browser, device, password, session, vouched};
use crate::system;

/// Log in with a username and a password, or with what a login method of the server takes
///
/// A method without a role is a person's: a browser logs in, and comes back to this machine; with `--device` it is one of another
/// machine, and nothing comes back. With a role it takes a token
/// of others: from a file, from the job of GitHub Actions or the pod of Kubernetes that this runs in, or the certificate
/// that --client-cert names.
///
/// The token is kept in `$XDG_CONFIG_HOME/strongroom/token` (without that variable: `~/.config/strongroom/token`), for its
/// owner alone, and used by the verbs that follow where no other is given.
#[derive(Debug, clap::Args)]
pub struct Login {
    /// The username; asked for where it is not given
    #[arg(long)]
    username: Option<String>,
    /// The file that holds the password; `-`: stdin; none: a prompt
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The login method of the server, where it is not `password`
    #[arg(long, value_name = "NAME", conflicts_with_all = ["username", "password_file", "totp"])]
    method: Option<String>,
    /// Confirm the login on another device, where no browser of this machine can be used
    #[arg(long, requires = "method", conflicts_with = "role")]
    device: bool,
    /// The role to have
    #[arg(long, requires = "method")]
    role: Option<String>,
    /// The file that holds a token of others; `-`: stdin
    #[arg(long, value_name = "FILE", requires = "role")]
    token_file: Option<PathBuf>,
    /// A one-time code, of an operator that has them
    #[arg(long, value_name = "CODE")]
    totp: Option<String>,
}

impl Login {
    pub(super) async fn run(self, common: &Common) -> Result<(), Failure> {
        if common.show_curl {
            return self.show(&common.client(None)?).await;
        }
        // Before the login: a token without a place would be lost.
        let file = session::login_file()?.ok_or_else(|| {
            Failure::usage("There is no place for the token.").help("Set HOME, or XDG_CONFIG_HOME to a whole path.")
        })?;
        let token = match &self.method {
            Some(method) => self.by(common, &Name::parse(method)?).await?,
            None => self.by_password(common).await?,
        };
        let kept = Kept {
            token: token.access_token,
            renew_at: token.renewable_until.map(|_| {
                let lasts = Duration::from_secs(token.expires_in.into());
                session::half_way(system::now() + lasts)
            }),
        };
        file.write(&kept, &common.addr)?;
        if let Some(name) = session::overriding()? {
            warn(&format!("{name} is set, and wins over the login."));
        }
        let minutes = token.expires_in / 60;
        let path = file.path().display();
        let renewed = token
            .renewable_until
            .map_or_else(String::new, |until| format!(" and, while it is used, until {until}"));
        Output::new(common.output).done(&format!(
            "Logged in for {minutes} minutes{renewed}; the token is in {path}."
        ))
    }
    async fn by_password(self, common: &Common) -> Result<AccessToken, Failure> {
        let username = self.username.map_or_else(ask_username, Ok)?;
        let password = match &self.password_file {
            Some(file) => password::of_file(file)?,
            None => password::ask(&format!("Password of {username} (not shown): "))?,
        };
        let totp = self.totp;
        let login = PasswordLogin {
            username,
            password,
            totp,
        };
        Ok(common.client(None)?.login_password(&login).await?)
    }

    async fn by(&self, common: &Common, method: &Name) -> Result<AccessToken, Failure> {
        let client = common.client(None)?;
        let Some(role) = self.role.clone() else {
            if self.device {
                return device::log_in(&client, method).await;
            }
            return browser::log_in(&client, method).await;
        };
        let login = match &self.token_file {
            None if common.client_cert.is_some() => MethodLogin::Certificate(CertificateLogin { role }),
            file => MethodLogin::Token(TokenLogin {
                role,
                jwt: match file {
                    Some(file) => vouched::of_file(file)?,
                    None => vouched::of_this_place(common).await?,
                },
            }),
        };
        Ok(client.login_by(method, &login).await?)
    }

    async fn show(self, client: &client::Client) -> Result<(), Failure> {
        let Some(method) = &self.method else {
            let (username, password) = (self.username.unwrap_or_default(), "".into());
            let totp = self.totp;
            let login = PasswordLogin {
                username,
                password,
                totp,
            };
            return Ok(client.login_password(&login).await.map(drop)?);
        };
        let method = Name::parse(method)?;
        if self.device {
            return Ok(client.start_device_login(&method).await.map(drop)?);
        }
        let (role, jwt) = (self.role.unwrap_or_default(), "".into());
        let login = MethodLogin::Token(TokenLogin { role, jwt });
        Ok(client.login_by(&method, &login).await.map(drop)?)
    }
}

fn ask_username() -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage("There is no username, and no terminal to ask at.").help("Give --username."));
    }
    let failed = |error| Failure::local("Cannot read from the terminal", &error);
    let mut stderr = io::stderr().lock();
    write!(stderr, "Username: ")
        .and_then(|()| stderr.flush())
        .map_err(failed)?;
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(failed)?;
    Ok(line.trim().to_owned())
}

pub(super) async fn logout(common: &Common) -> Result<(), Failure> {
    let output = Output::new(common.output);
    let Some(file) = session::login_file()? else {
        return output.done("There was no login.");
    };
    let kept = file.read(&common.addr);
    // Whatever the server says, or where it cannot be asked: nobody shall use it from here.
    if !file.remove()? {
        return output.done("There was no login.");
    }
    let Ok(Some(kept)) = kept else {
        return output
            .done("The token is removed here. It was not this server's: a copy of it holds until it expires.");
    };
    match common.client(Some(kept.token))?.revoke_tokens(&Revoke::default()).await {
        Ok(()) => output.done("Logged out: the token has ended."),
        Err(client::Error::Problem(problem)) if problem.status == 401 => {
            output.done("Logged out: the token had ended before.")
        }
        Err(error) => {
            warn("The token is removed here. The server did not end it: a copy of it holds until it expires.");
            Err(error.into())
        }
    }
}
