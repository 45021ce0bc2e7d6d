//! Addresses that are called, as they are written down.

use std::net::IpAddr;

use crate::{Error, Result};

const MAX_URL: usize = 1024;

/// Refuses what outbound calls refuse anyway, before it is stored. What travels in clear stays within this machine: that is
/// for tests.
pub(crate) fn check_url(field: &str, url: &str) -> Result<()> {
    let (rest, clear) = match url.strip_prefix("http://") {
        Some(rest) => (Some(rest), true),
        None => (url.strip_prefix("https://"), false),
    };
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let fits = host.is_some_and(|host| !host.is_empty() && !host.contains('@') && (!clear || is_home(host)))
        && url.len() <= MAX_URL
        && !url.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#');
    if fits {
        Ok(())
    } else {
        Err(Error::invalid(format!(
            "'{field}' is an https address without user and fragment, at most 1,024 bytes long."
        )))
    }
}

/// Whether a host, with its port if it has one, is this machine by its own word.
fn is_home(host: &str) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|rest| Some(rest.split_once(']')?.0));
    let host = bracketed.unwrap_or_else(|| host.split(':').next().unwrap_or_default());
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_is_https_unless_it_is_this_machine() {
        for good in [
            "https://hooks.example/x?y=1",
            "https://10.0.0.1:8443",
            "http://127.0.0.1:9/hook",
            "http://localhost",
            "http://localhost:80/x",
            "http://[::1]:80/x",
        ] {
            assert!(check_url("address", good).is_ok(), "{good}");
        }
        for bad in [
            "http://hooks.example/x",
            "http://10.0.0.1",
            "http://localhost.example",
            "http://127.0.0.1@hooks.example",
            "http://127.0.0.1.example",
            "http://[::2]",
            "ftp://hooks.example",
            "https://",
            "https://user@hooks.example",
            "https://hooks.example/#x",
            "https://hooks.example/ x",
            "hooks.example",
        ] {
            assert!(check_url("address", bad).is_err(), "{bad}");
        }
    }
}
