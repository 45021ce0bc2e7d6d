//! A person's login that is confirmed on another device.

use std::time::Duration;

use strongroom_api::auth::{AccessToken, DeviceLogin, DeviceStarted, MethodLogin};
use strongroom_api::client::{Client, Error};
use strongroom_domain::{Code, Name};
use tokio::time::{sleep, timeout};

use super::failure::Failure;
use super::output::note;

/// By which the time between two questions grows when they are too many, or cannot be asked.
const SLOWER: Duration = Duration::from_secs(5);

pub(super) async fn log_in(client: &Client, method: &Name) -> Result<AccessToken, Failure> {
    let started = client.start_device_login(method).await?;
    note(&shown(&started));
    let lasts = Duration::from_secs(started.expires_in);
    let confirmed = timeout(lasts, confirmed(client, method, started)).await;
    confirmed.map_err(|_| Failure::usage("Nobody has confirmed the login in time."))?
}

fn shown(started: &DeviceStarted) -> String {
    // Nothing that a server says may steer the terminal.
    let plain = |text: &str| text.replace(char::is_control, "?");
    let complete = started.verification_uri_complete.as_deref().map(plain);
    let complete = complete.map_or_else(String::new, |address| format!("Or open:\n\n  {address}\n"));
    format!(
        "Open this address on any device, and enter the code there:\n\n  {}\n  {}\n{complete}",
        plain(&started.verification_uri),
        plain(&started.user_code)
    )
}

/// Asks again until the login is confirmed, or refused.
async fn confirmed(client: &Client, method: &Name, started: DeviceStarted) -> Result<AccessToken, Failure> {
    let mut interval = Duration::from_secs(started.interval);
    let login = MethodLogin::Device(DeviceLogin {
        device_code: started.device_code,
    });
    loop {
        sleep(interval).await;
        match client.login_by(method, &login).await {
            Err(Error::Problem(problem)) if problem.code == Code::AuthorizationPending.name() => {}
            Err(error) if error.is_passing() => interval += SLOWER,
            done => return Ok(done?),
        }
    }
}
