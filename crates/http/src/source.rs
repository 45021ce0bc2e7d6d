//! Where a request came from, where proxies stand between.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::{HeaderMap, HeaderName};
use strongroom_domain::Network;
use strongroom_domain::network::plain;

/// More hops than these nobody has.
const MOST: usize = 32;

/// The header in which proxies say whom they speak for. One of them: the other would be whatever the client wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedHeader {
    #[default]
    XForwardedFor,
    Forwarded,
}

impl FromStr for ForwardedHeader {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "x-forwarded-for" => Ok(Self::XForwardedFor),
            "forwarded" => Ok(Self::Forwarded),
            _ => Err(()),
        }
    }
}

/// The proxies that are believed, and how they speak.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    pub trusted: Vec<Network>,
    pub header: ForwardedHeader,
}

impl Proxies {
    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// The client of a connection's request: from the last hop back, the first that is none of our proxies. Whatever
    /// stands before it may be anybody's word.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        if !self.trusts(peer) {
            return client;
        }
        let name = match self.header {
            ForwardedHeader::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            ForwardedHeader::Forwarded => http::header::FORWARDED,
        };
        let lines: Vec<&[u8]> = headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect();
        let hops = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        for hop in hops.take(MOST) {
            let Some(address) = std::str::from_utf8(hop).ok().and_then(|hop| self.address(hop.trim())) else {
                break;
            };
            client = plain(address);
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    fn address(&self, hop: &str) -> Option<IpAddr> {
        let node = match self.header {
            ForwardedHeader::XForwardedFor => hop,
            ForwardedHeader::Forwarded => hop.split(';').find_map(|part| {
                let (name, value) = part.trim().split_once('=')?;
                name.eq_ignore_ascii_case("for").then_some(value)
            })?,
        };
        let node = node.trim().trim_matches('"');
        let bare = node
            .strip_prefix('[')
            .and_then(|node| node.strip_suffix(']'))
            .unwrap_or(node);
        let address = bare.parse().ok();
        address.or_else(|| node.parse::<SocketAddr>().ok().map(|address| address.ip()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(header: ForwardedHeader, peer: &str, lines: &[(&'static str, &str)]) -> String {
        let trusted = ["10.0.0.0/8", "2001:db8:aaaa::/48"].map(|text| Network::parse(text).unwrap());
        let proxies = Proxies {
            trusted: trusted.to_vec(),
            header,
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_last_hop_that_is_no_proxy_of_ours_counts() {
        let x = |peer, value| client(ForwardedHeader::XForwardedFor, peer, &[("x-forwarded-for", value)]);
        assert_eq!(x("192.0.2.9", "198.51.100.1"), "192.0.2.9", "no proxy of ours says so");
        assert_eq!(x("10.0.0.1", "198.51.100.1"), "198.51.100.1");
        assert_eq!(x("::ffff:10.0.0.1", "198.51.100.1"), "198.51.100.1");
        assert_eq!(
            x("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.2.3.4"),
            "198.51.100.1",
            "a spoofed start"
        );
        assert_eq!(x("10.0.0.1", "198.51.100.1:4711"), "198.51.100.1");
        assert_eq!(x("10.0.0.1", "[2001:db8::7]:4711"), "2001:db8::7");
        assert_eq!(x("10.0.0.1", "2001:db8::7"), "2001:db8::7");
        assert_eq!(x("10.0.0.1", "::ffff:198.51.100.1"), "198.51.100.1");
        assert_eq!(
            x("10.0.0.1", "198.51.100.1, unknown, 10.9.9.9"),
            "10.9.9.9",
            "who was not told is not guessed"
        );
        assert_eq!(x("10.0.0.1", "10.1.1.1, 10.2.2.2"), "10.1.1.1");
        assert_eq!(x("10.0.0.1", ""), "10.0.0.1");
        assert_eq!(x("10.0.0.1", &"10.0.0.2,".repeat(5000)), "10.0.0.1");
        let lines = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "198.51.100.1")];
        assert_eq!(
            client(ForwardedHeader::XForwardedFor, "10.0.0.1", &lines),
            "198.51.100.1"
        );
    }

    #[test]
    fn one_header_is_read_and_the_other_is_not() {
        let f = |value| client(ForwardedHeader::Forwarded, "10.0.0.1", &[("forwarded", value)]);
        assert_eq!(f("for=198.51.100.1;proto=https"), "198.51.100.1");
        assert_eq!(f("proto=https; For=\"[2001:db8::7]:4711\""), "2001:db8::7");
        assert_eq!(f("for=1.1.1.1, for=198.51.100.1, for=10.0.0.3"), "198.51.100.1");
        assert_eq!(f("for=\"1.1.1.1, for=198.51.100.1"), "198.51.100.1");
        assert_eq!(f("for=_hidden"), "10.0.0.1");
        let both = [("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=1.1.1.1")];
        assert_eq!(
            client(ForwardedHeader::XForwardedFor, "10.0.0.1", &both),
            "198.51.100.1"
        );
        assert_eq!(client(ForwardedHeader::Forwarded, "10.0.0.1", &both), "1.1.1.1");
    }
}
