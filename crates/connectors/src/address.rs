//! Where an address leads: to anybody's internet, or to somewhere that only this machine or this network reaches.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leads {
    /// To the internet.
    Public,
    /// To a network of somebody's own: private, unique local, shared by a provider.
    Private,
    /// To this link only, or to where else clouds tell machines their credentials.
    Link,
    /// To this machine.
    Home,
    /// To no one host: many at once, none, or reserved.
    Nowhere,
}

/// The registries of special-purpose addresses (RFC 6890 and its successors), and IPv4 addresses in their IPv6 clothes.
pub(crate) fn leads(address: IpAddr) -> Leads {
    match address {
        IpAddr::V4(address) => leads_v4(address),
        IpAddr::V6(address) => leads_v6(address),
    }
}

fn leads_v4(address: Ipv4Addr) -> Leads {
    match address.octets() {
        [127, ..] => Leads::Home,
        // Azure's and Alibaba's metadata stand apart from the rest of theirs.
        [169, 254, ..] | [168, 63, 129, 16] | [100, 100, 100, 200] => Leads::Link,
        // Private use, what providers share among their customers, and what tests networks.
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18..=19, ..] => Leads::Private,
        // "This network", protocol assignments, documentation, the relay of 6to4, multicast, reserved and broadcast.
        [0 | 224..=255, ..] | [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 51, 100, _] | [203, 0, 113, _] => {
            Leads::Nowhere
        }
        _ => Leads::Public,
    }
}

fn leads_v6(address: Ipv6Addr) -> Leads {
    let embedded = |high: u16, low: u16| leads_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Leads::Home,
        // IPv4 as IPv6: mapped, translated, and carried by 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            match embedded(high, low) {
                // None of these is how one's own network is reached.
                Leads::Private | Leads::Link if address.segments()[0] != 0 => Leads::Nowhere,
                leads => leads,
            }
        }
        // AWS's and Google's metadata stand among the unique local ones.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, _] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] | [0xfe80..=0xfebf, ..] => Leads::Link,
        // Unique local, and the site-local addresses before them.
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Leads::Private,
        // What is global stands under 2000::/3; in it are tunnels, documentation and other special purposes.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Leads::Nowhere,
        [0x2000..=0x3fff, ..] => Leads::Public,
        _ => Leads::Nowhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_range_is_known_at_its_ends() {
        let table = [
            (
                Leads::Public,
                "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0",
            ),
            (
                Leads::Public,
                "169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0",
            ),
            (
                Leads::Public,
                "198.17.255.255 198.20.0.0 223.255.255.255 192.0.1.0 192.88.98.255",
            ),
            (
                Leads::Private,
                "10.0.0.0 10.255.255.255 172.16.0.0 172.31.255.255 192.168.0.0 192.168.255.255",
            ),
            (Leads::Private, "100.64.0.0 100.127.255.255 198.18.0.0 198.19.255.255"),
            (Leads::Home, "127.0.0.0 127.0.0.1 127.255.255.255 ::1 ::ffff:127.0.0.1"),
            (
                Leads::Link,
                "169.254.0.0 169.254.169.254 169.254.255.255 fe80:: febf:ffff::1 ::ffff:169.254.169.254",
            ),
            (
                Leads::Link,
                "168.63.129.16 ::ffff:168.63.129.16 100.100.100.200 fd00:ec2::23 fd00:ec2::254 fd20:ce::254",
            ),
            (Leads::Public, "168.63.129.15 168.63.129.17"),
            (
                Leads::Private,
                "100.100.100.199 100.100.100.201 fd00:ec2::1:254 fd20:ce::253",
            ),
            (
                Leads::Private,
                "fc00:: fd12:3456::1 fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fec0:: ::ffff:10.0.0.1",
            ),
            (
                Leads::Nowhere,
                "0.0.0.0 0.255.255.255 192.0.0.1 192.0.2.1 198.51.100.1 203.0.113.9 192.88.99.1",
            ),
            (Leads::Nowhere, "224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255"),
            (
                Leads::Nowhere,
                ":: ::2 ::7f00:1 100::1 ff02::1 2001:db8::1 2001::1 2001:1ff::1 3fff::1 4000:: fb00::",
            ),
            (
                Leads::Nowhere,
                "64:ff9b::a00:1 64:ff9b::a9fe:a9fe 64:ff9b::a83f:8110 2002:a00:1:: 2002:a9fe:a9fe:: 2002:c000:201::",
            ),
            (Leads::Home, "64:ff9b::7f00:1 2002:7f00:1::"),
            (
                Leads::Public,
                "2606:4700::1111 2a00:: 2001:200:: 64:ff9b::101:101 2002:101:101:: ::ffff:1.1.1.1",
            ),
        ];
        for (expected, addresses) in table {
            for address in addresses.split(' ') {
                assert_eq!(leads(address.parse().unwrap()), expected, "{address}");
            }
        }
    }
}
