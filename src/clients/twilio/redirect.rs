//! Where a vendor may redirect to: the storage of the audio, which is neither on this computer nor in its network.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::lookup_host;
use url::{Host, Url};

use crate::clients::network::{is_inside, is_local_name, is_of_a_link, literal};

/// Returns `true` if a vendor at `base` may redirect to `next`, as far as the URL tells. Only a vendor inside our network
/// may redirect into it, and none to an address of a link, where a cloud has its metadata service.
pub(super) fn may_redirect(base: &Url, next: &Url) -> bool {
    let is_as_safe = next.scheme() == "https" || (next.scheme() == "http" && base.scheme() == "http");
    is_as_safe && literal(next).is_none_or(|ip| may_connect(base, ip)) && (!is_local_name(next) || is_inside_url(base))
}

/// What a name resolves to that does not resolve here. It cannot be connected to, so nothing resolves the name a second
/// time, except a proxy that the request goes through.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Returns the addresses of `next`, or `None` if it names none but is one. Returns `Err` if one of them must not be connected
/// to.
pub(super) async fn addresses(base: &Url, next: &Url) -> Result<Option<Vec<SocketAddr>>, ()> {
    let (Some(Host::Domain(name)), Some(port)) = (next.host(), next.port_or_known_default()) else { return Ok(None) };
    let Ok(found) = lookup_host((name, port)).await else { return Ok(Some(vec![NOWHERE])) };
    let found: Vec<SocketAddr> = found.collect();
    if found.iter().all(|address| may_connect(base, address.ip())) { Ok(Some(found)) } else { Err(()) }
}

fn may_connect(base: &Url, ip: IpAddr) -> bool {
    !is_of_a_link(ip) && (!is_inside(ip) || is_inside_url(base))
}

/// Returns `true` for a URL of this computer or its network. Resolves no names.
fn is_inside_url(url: &Url) -> bool {
    literal(url).is_some_and(is_inside) || is_local_name(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWILIO: &str = "https://api.twilio.com";
    const SANDBOX: &str = "http://127.0.0.1:8001";

    fn leads(base: &str, next: &str) -> bool {
        may_redirect(&base.parse().unwrap(), &next.parse().unwrap())
    }

    #[test]
    fn a_redirect_leads_neither_into_our_network_nor_to_plain_http() {
        for next in
            ["https://api.ie1.twilio.com/a.wav", "https://bucket.s3.amazonaws.com/a?b=c", "https://203.0.113.7/"]
        {
            assert!(leads(TWILIO, next) && leads(SANDBOX, next), "{next}");
        }
        for next in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0.0.0.0/",
            "https://0.1.2.3/",
            "https://10.0.0.1/",
            "https://172.16.0.1/",
            "https://192.168.1.1/",
            "https://100.100.100.200/",
            "https://192.0.0.192/",
            "https://198.19.0.1/",
            "https://239.1.2.3/",
            "https://255.255.255.255/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::127.0.0.1]/",
            "https://[64:ff9b::10.0.0.1]/",
            "https://[2002:a00:1::]/",
            "https://[fd00:ec2::254]/",
            "https://[fec0::1]/",
            "https://[ff02::1]/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
        ] {
            assert!(!leads(TWILIO, next), "{next}");
            assert!(leads(SANDBOX, next), "{next}");
        }
        for next in ["http://api.twilio.com/a.wav", "ftp://api.twilio.com/", "file:///etc/passwd", "data:,a"] {
            assert!(!leads(TWILIO, next), "{next}");
        }
        assert!(!leads(SANDBOX, "file:///etc/passwd"));
    }

    #[test]
    fn no_redirect_leads_to_a_metadata_service() {
        for next in [
            "https://169.254.169.254/latest/meta-data/",
            "http://169.254.169.254/latest/meta-data/",
            "http://2852039166/",
            "http://[::ffff:169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[fe80::1]/",
        ] {
            assert!(!leads(TWILIO, next) && !leads(SANDBOX, next), "{next}");
        }
    }

    #[tokio::test]
    async fn a_name_that_resolves_into_our_network_is_refused_there() {
        let next = "https://localhost/".parse().unwrap();
        assert_eq!(addresses(&TWILIO.parse().unwrap(), &next).await, Err(()));
        let found = addresses(&SANDBOX.parse().unwrap(), &next).await.unwrap().unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 443), "{found:?}");
        let literal = "https://203.0.113.7/".parse().unwrap();
        assert_eq!(addresses(&TWILIO.parse().unwrap(), &literal).await, Ok(None));
    }
}
