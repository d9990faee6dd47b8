//! Which addresses belong to this computer or its network. What somebody else names must not lead there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Returns `true` for a name that always means this computer. Resolves no names.
pub(super) fn is_local_name(url: &Url) -> bool {
    let Some(Host::Domain(name)) = url.host() else { return false };
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

/// Returns the address that a URL names, if it names one.
pub(super) fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(ip) => Some(ip.into()),
        Host::Ipv6(ip) => Some(ip.into()),
    }
}

/// Returns `true` for an address that only the same link has. A cloud has its metadata service there.
pub(super) fn is_of_a_link(ip: IpAddr) -> bool {
    match with_v4_in_v6(ip) {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// Returns `true` for an address of this computer or its network, or one that no server in the internet has.
pub(super) fn is_inside(ip: IpAddr) -> bool {
    match with_v4_in_v6(ip) {
        IpAddr::V4(ip) => {
            let [first, second, third, _] = ip.octets();
            let is_shared_by_a_provider = first == 100 && second & 0xC0 == 64;
            let is_assigned_by_protocol = (first, second, third) == (192, 0, 0) || (first, second & 0xFE) == (198, 18);
            ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || first == 0
                || is_shared_by_a_provider
                || is_assigned_by_protocol
                || first >= 224
        }
        IpAddr::V6(ip) => {
            let [first, second, third, ..] = ip.segments();
            let is_site_local = first & 0xFFC0 == 0xFEC0;
            let is_of_local_nat64 = (first, second, third) == (0x64, 0xFF9B, 1);
            let is_teredo = (first, second) == (0x2001, 0);
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.is_multicast()
                || is_site_local
                || is_of_local_nat64
                || is_teredo
        }
    }
}

/// Returns the IPv4 address that an IPv6 address leads to, by one of the ways of writing or carrying it.
fn with_v4_in_v6(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let segments = v6.segments();
    let v4 = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match segments {
        // Mapped, translated, and through NAT64.
        [0, 0, 0, 0, 0, 0xFFFF, high, low]
        | [0, 0, 0, 0, 0xFFFF, 0, high, low]
        | [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => v4(high, low),
        // Compatible; these two are addresses of their own.
        [0, 0, 0, 0, 0, 0, high, low] if v6 != Ipv6Addr::LOCALHOST && v6 != Ipv6Addr::UNSPECIFIED => v4(high, low),
        // 6to4.
        [0x2002, high, low, ..] => v4(high, low),
        _ => ip,
    }
}
