//! Which addresses are of the internet: whatever the registries of special-purpose addresses (RFC 6890, as IANA keeps
//! them) hold for anything else is not, and an address that carries another one counts as that.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) fn is_allowed(address: IpAddr, allow: &[IpNet]) -> bool {
    allow.iter().any(|network| network.contains(&plain(address)))
}

pub(super) fn is_of_the_internet(address: IpAddr) -> bool {
    match plain(address) {
        IpAddr::V4(four) => !is_special_v4(four),
        IpAddr::V6(six) => !is_special_v6(six),
    }
}

/// Mapped, translated (NAT64) and tunnelled (6to4) addresses are what they carry.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let octets = six.octets();
    let inner = match six.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            [octets[12], octets[13], octets[14], octets[15]]
        }
        [0x2002, ..] => [octets[2], octets[3], octets[4], octets[5]],
        _ => return address,
    };
    IpAddr::V4(Ipv4Addr::from(inner))
}

fn is_special_v4(address: Ipv4Addr) -> bool {
    match address.octets() {
        // this network, private, loopback
        [0 | 10 | 127, ..] => true,
        // shared by carriers
        [100, 64..=127, ..] => true,
        // link-local, where clouds keep credentials
        [169, 254, ..] => true,
        [172, 16..=31, ..] | [192, 168, ..] => true,
        // protocol assignments, documentation, 6to4 relays
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        // benchmarks
        [198, 18..=19, ..] => true,
        // multicast, reserved, broadcast
        [224..=255, ..] => true,
        _ => false,
    }
}

fn is_special_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // protocol assignments, Teredo among them; documentation
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => true,
        // only this block is given out as global unicast; loopback, unique local, link-local, multicast lie outside
        [0x2000..=0x3fff, ..] => false,
        _ => true,
    }
}
