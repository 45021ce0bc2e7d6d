//! Checking and making passwords' hashes, which is slow on purpose: few at a time, and few that wait, so that a flood of
//! logins takes neither the machine nor its memory from who reads.

use std::sync::{Arc, OnceLock};

use secrecy::{ExposeSecret, SecretString};
use strongroom_crypto::Keys;
use strongroom_domain::grant::PASSWORD_BYTES;
use strongroom_domain::{Code, Error, Record, Result};
use tokio::sync::Semaphore;

use crate::Broker;
use crate::stats::count;

/// Passwords that wait while others are worked on.
const WAITING: usize = 64;

pub(crate) struct Passwords {
    running: Arc<Semaphore>,
    places: Semaphore,
    /// Of an operator that there is not, to be checked in the place of its row.
    pub(crate) nobodys_row: OnceLock<Record>,
    /// For the test that must see the difference.
    #[cfg(test)]
    pub(crate) nobody_is_quick: std::sync::atomic::AtomicBool,
}

#[cfg(test)]
mod timing;

impl Default for Passwords {
    /// Half of the cores: a flood leaves the other half to who reads.
    fn default() -> Self {
        let at_once = std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        Self {
            running: Arc::new(Semaphore::new(at_once)),
            places: Semaphore::new(at_once + WAITING),
            nobodys_row: OnceLock::new(),
            #[cfg(test)]
            nobody_is_quick: false.into(),
        }
    }
}

impl Broker {
    /// Does work on a password when its turn comes; refuses at once where too many wait.
    pub(crate) async fn stretch<T: Send + 'static>(
        &self,
        password: &SecretString,
        work: impl FnOnce(&Keys, &str) -> T + Send + 'static,
    ) -> Result<T> {
        let passwords = &self.0.passwords;
        let Ok(_place) = passwords.places.try_acquire() else {
            return Err(Error::new(Code::Overloaded, "Too many passwords wait for their turn."));
        };
        let running = passwords
            .running
            .clone()
            .acquire_owned()
            .await
            .map_err(Error::internal)?;
        count(&self.0.stats.password_hashes);
        let (keys, password) = (self.0.ring.keys.load_full(), password.clone());
        let work = move || {
            // Until it is done, whether or not somebody still waits for it.
            let _running = running;
            work(&keys, password.expose_secret())
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)
    }
}

/// Refuses what is no password.
pub(crate) fn check_password(password: &SecretString) -> Result<()> {
    if PASSWORD_BYTES.contains(&password.expose_secret().len()) {
        return Ok(());
    }
    let (least, most) = (PASSWORD_BYTES.start(), PASSWORD_BYTES.end());
    Err(Error::invalid(format!("A password has {least} to {most} bytes.")))
}
