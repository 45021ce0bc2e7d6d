//! Networks that something is bound to: an address and how many of its first bits count.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

/// Written as `10.0.0.0/8` or `2001:db8::/32`, without bits behind the prefix; an address alone is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(IpNet);

impl Network {
    pub fn parse(text: &str) -> Result<Self> {
        let refused = || Error::invalid(format!("'{text}' is no network such as 10.0.0.0/8 or 2001:db8::/32."));
        if let Ok(address) = IpAddr::from_str(text) {
            return Ok(Self(plain(address).into()));
        }
        let net = IpNet::from_str(text).map_err(|_| refused())?;
        let mapped = matches!(net, IpNet::V6(net) if net.addr().to_ipv4_mapped().is_some());
        if net.trunc() == net && !mapped {
            Ok(Self(net))
        } else {
            Err(refused())
        }
    }

    /// Its first address.
    pub fn address(&self) -> IpAddr {
        self.0.network()
    }

    /// An IPv4 address counts as that however it is written.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&plain(address))
    }

    /// Its first address, and the first behind it.
    pub fn edges(&self) -> (IpAddr, Option<IpAddr>) {
        let behind = match self.0.broadcast() {
            IpAddr::V4(last) => u32::from(last).checked_add(1).map(|next| Ipv4Addr::from(next).into()),
            IpAddr::V6(last) => u128::from(last).checked_add(1).map(|next| Ipv6Addr::from(next).into()),
        };
        (self.0.network(), behind)
    }
}

/// An IPv4 address that stands within an IPv6 one as what it is.
pub fn plain(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// By what limits count whoever asks: an IPv4 address, or the IPv6 network of 64 bits that one host has all of.
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match plain(address) {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|error| serde::de::Error::custom(error.detail))
    }
}

impl JsonSchema for Network {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": 43, "description": "Such as 10.0.0.0/8 or 2001:db8::/32." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_meaning() {
        let ten = Network::parse("10.0.0.0/8").unwrap();
        for inside in ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"] {
            assert!(ten.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["11.0.0.0", "9.255.255.255", "::10.1.2.3", "2001:db8::1"] {
            assert!(!ten.contains(outside.parse().unwrap()), "{outside}");
        }
        assert!(
            Network::parse("::ffff:10.0.0.1")
                .unwrap()
                .contains("10.0.0.1".parse().unwrap())
        );
        for wrong in [
            "",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "::ffff:10.0.0.0/104",
            "localhost",
            "10.0.0.0/8 ",
            "10/8",
        ] {
            assert!(Network::parse(wrong).is_err(), "{wrong}");
        }
    }
}
