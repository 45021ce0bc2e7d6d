//! Which addresses that are not public may be called: those that the configuration names, and no others.

use std::net::IpAddr;

use strongroom_domain::Network;
use strongroom_domain::network::plain;

use crate::address::{Leads, leads};
use crate::guard::Barred;

/// What `outbound.allow` says. The API has no way to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    hosts: Vec<String>,
    networks: Vec<Network>,
}

impl Allowed {
    /// Hosts, addresses and networks, separated by commas. The error says which one is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut allowed = Self::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            if let Ok(network) = Network::parse(entry) {
                allowed.networks.push(network);
            } else if is_host(entry) {
                allowed.hosts.push(entry.to_ascii_lowercase());
            } else {
                return Err(format!(
                    "'{entry}' is neither a host's name nor an address nor a network."
                ));
            }
        }
        Ok(allowed)
    }

    /// Whether any of it is this machine itself.
    pub fn names_home(&self) -> bool {
        let home = |network: &Network| leads(network.address()) == Leads::Home;
        self.networks.iter().any(home) || self.hosts.iter().any(|host| is_home(host))
    }

    /// Whether this address, which the host's name stands for, may be called. `home`: this machine may be, where it is
    /// named too.
    pub(crate) fn check(&self, host: &str, address: IpAddr, home: bool) -> Result<(), Barred> {
        let address = plain(address);
        let network = || self.networks.iter().any(|network| network.contains(address));
        // A network that is wider than this machine was not meant for it.
        let of_home = || {
            let mut networks = self
                .networks
                .iter()
                .filter(|network| leads(network.address()) == Leads::Home);
            networks.any(|network| network.contains(address))
        };
        let named = || self.hosts.iter().any(|name| name == host.trim_end_matches('.'));
        let may = match leads(address) {
            Leads::Public => true,
            Leads::Private => network() || named(),
            // A name says nothing of whether a cloud hands out its credentials behind it.
            Leads::Link => network(),
            Leads::Home => home && (of_home() || named()),
            Leads::Nowhere => false,
        };
        if may { Ok(()) } else { Err(Barred::Forbidden(address)) }
    }
}

fn is_home(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits would make it an address that is miswritten.
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253 && text.split('.').all(label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(allow: &str, host: &str, address: &str) -> bool {
        let allowed = Allowed::parse(allow).unwrap();
        allowed.check(host, address.parse().unwrap(), false).is_ok()
    }

    #[test]
    fn what_is_not_public_must_be_named() {
        assert!(may("", "a.example", "1.1.1.1"));
        for address in [
            "10.0.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "0.0.0.0",
        ] {
            assert!(!may("", "a.example", address), "{address}");
        }
        assert!(may("10.0.0.0/8", "a.example", "10.1.2.3") && may("10.0.0.0/8", "10.1.2.3", "::ffff:10.1.2.3"));
        assert!(!may("10.0.0.0/8", "a.example", "192.168.0.1"));
        assert!(may("Vault.internal, 192.168.0.7", "vault.internal", "10.0.0.1"));
        assert!(may("vault.internal", "vault.internal.", "10.0.0.1"));
        assert!(!may("vault.internal", "a.vault.internal", "10.0.0.1"));
        assert!(
            !may("vault.internal", "vault.internal", "169.254.169.254"),
            "by its address only"
        );
        assert!(may("169.254.169.254", "169.254.169.254", "169.254.169.254"));
        assert!(!may("0.0.0.0/0, ::/0", "a", "0.0.0.0") && !may("::/0", "a", "ff02::1"));
    }

    #[test]
    fn this_machine_needs_both_a_name_and_leave() {
        let allowed = Allowed::parse("127.0.0.1,localhost").unwrap();
        let home = "127.0.0.1".parse().unwrap();
        assert!(allowed.check("127.0.0.1", home, true).is_ok() && allowed.check("127.0.0.1", home, false).is_err());
        assert!(allowed.check("localhost", "::1".parse().unwrap(), true).is_ok());
        assert!(allowed.check("a.example", "::1".parse().unwrap(), true).is_err());
        assert!(Allowed::default().check("127.0.0.1", home, true).is_err());
        for text in [
            "127.0.0.1",
            "::1",
            "127.0.0.0/8",
            "localhost",
            "a.localhost",
            "::ffff:127.0.0.1",
        ] {
            assert!(Allowed::parse(text).unwrap().names_home(), "{text}");
        }
        assert!(!Allowed::parse("10.0.0.0/8, a.example").unwrap().names_home());
    }

    #[test]
    fn what_is_nothing_is_told() {
        for text in [
            "10.0.0.0/33",
            "a b",
            "-a.example",
            "https://a",
            "10.0.0",
            "300.1.1.1",
            "a..b",
            "*",
            "a:80",
        ] {
            assert!(Allowed::parse(text).unwrap_err().contains(text), "{text}");
        }
        assert_eq!(Allowed::parse(" , ").unwrap(), Allowed::default());
    }
}
