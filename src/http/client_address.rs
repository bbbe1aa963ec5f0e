//! Client address of a request behind trusted proxies.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, web};
use clap::ValueEnum;
use ipnet::{IpNet, Ipv4Net};

use super::forwarded::{Hop, forwarded, forwarded_proto, x_forwarded_for, x_forwarded_proto};

/// Header in which proxies record their clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ForwardedHeader {
    /// Either header.
    #[default]
    Auto,
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Networks of the trusted proxies, and the header that they write.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Arc<[IpNet]>,
    header: ForwardedHeader,
}

impl TrustedProxies {
    pub fn new(networks: &[IpNet], header: ForwardedHeader) -> Self {
        Self {
            networks: networks.iter().copied().map(canonical).collect(),
            header,
        }
    }

    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Returns the client of a request from this peer. If both headers are present and disagree, the client may have
    /// sent one of them. Both are then ignored.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let by_list = || x_forwarded_for(headers);
        let by_rfc = || forwarded(headers);
        match self.header {
            ForwardedHeader::XForwardedFor => self.origin(peer, &by_list()),
            ForwardedHeader::Forwarded => self.origin(peer, &by_rfc()),
            ForwardedHeader::Auto => match (by_list(), by_rfc()) {
                (hops, none) | (none, hops) if none.is_empty() => self.origin(peer, &hops),
                (one, other) => {
                    let (one, other) = (self.origin(peer, &one), self.origin(peer, &other));
                    if one == other { one } else { peer }
                }
            },
        }
    }

    /// Returns true if a trusted peer records that its client used TLS. If both headers are present, both must say so.
    pub(super) fn used_tls(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        let by_list = || x_forwarded_proto(headers);
        let by_rfc = || forwarded_proto(headers);
        let recorded = match self.header {
            ForwardedHeader::XForwardedFor => vec![by_list()],
            ForwardedHeader::Forwarded => vec![by_rfc()],
            ForwardedHeader::Auto => vec![by_list(), by_rfc()],
        };
        let mut protocols = recorded.into_iter().flatten().peekable();
        self.trusts(peer)
            && protocols.peek().is_some()
            && protocols.all(|protocol| protocol.eq_ignore_ascii_case("https"))
    }

    /// Walks back from the peer through the addresses recorded by trusted proxies, up to the first untrusted address.
    fn origin(&self, peer: IpAddr, hops: &[Hop]) -> IpAddr {
        let mut origin = peer;
        for hop in hops.iter().rev() {
            if !self.trusts(origin) {
                break;
            }
            match hop {
                Some(address) => origin = address.to_canonical(),
                None => break,
            }
        }
        origin
    }
}

/// Converts an IPv4-mapped network to IPv4, because addresses are compared in that form. For example,
/// `::ffff:10.0.0.0/104` becomes `10.0.0.0/8`.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(mapped) = network else {
        return network;
    };
    match (
        mapped.addr().to_ipv4_mapped(),
        mapped.prefix_len().checked_sub(96),
    ) {
        (Some(address), Some(length)) => Ipv4Net::new(address, length).map_or(network, IpNet::V4),
        _ => network,
    }
}

/// Returns the client address; `None` if the connection has none (a Unix socket).
pub(crate) fn client_address(request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip();
    Some(match request.app_data::<web::Data<TrustedProxies>>() {
        Some(proxies) => proxies.client(peer, request.headers()),
        None => peer.to_canonical(),
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn client(header: ForwardedHeader, peer: &str, headers: &[(&'static str, &'static str)]) -> String {
        let networks = ["10.0.0.0/8", "::ffff:172.16.0.0/108"].map(|network| network.parse().unwrap());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let proxies = TrustedProxies::new(&networks, header);
        proxies.client(peer.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn only_trusted_proxies_may_name_another_address() {
        let by_list = |peer, notes| client(ForwardedHeader::Auto, peer, &[("x-forwarded-for", notes)]);
        assert_eq!(by_list("10.0.0.1", "203.0.113.9"), "203.0.113.9");
        assert_eq!(by_list("10.0.0.1", "198.51.100.7, 203.0.113.9"), "203.0.113.9");
        assert_eq!(by_list("10.0.0.1", "203.0.113.9:4711 ,10.0.0.2"), "203.0.113.9");
        assert_eq!(
            by_list("::ffff:10.0.0.1", "203.0.113.9,::ffff:172.16.3.4,"),
            "203.0.113.9"
        );
        assert_eq!(by_list("192.0.2.1", "203.0.113.9"), "192.0.2.1");
        assert_eq!(by_list("10.0.0.1", "203.0.113.9, unknown"), "10.0.0.1");
        assert_eq!(by_list("10.0.0.1", "203.0.113.9, unknown, 10.0.0.2"), "10.0.0.2");
        assert_eq!(by_list("10.0.0.1", ""), "10.0.0.1");
        assert_eq!(by_list("10.0.0.1", "10.0.0.3"), "10.0.0.3");
    }

    #[test]
    fn several_headers_count_as_one_list() {
        let by_rfc = |one, other| {
            client(
                ForwardedHeader::Auto,
                "10.0.0.1",
                &[("forwarded", one), ("forwarded", other)],
            )
        };
        assert_eq!(
            by_rfc("for=198.51.100.7", "for=203.0.113.9;proto=https"),
            "203.0.113.9"
        );
        assert_eq!(
            by_rfc(r#"for="[2001:db8::1]:4711""#, "For=10.0.0.2"),
            "2001:db8::1"
        );
        assert_eq!(by_rfc("for=\"", "for=203.0.113.9"), "203.0.113.9");
        assert_eq!(by_rfc("for=203.0.113.9", "for=_hidden"), "10.0.0.1");
        let list = [
            ("x-forwarded-for", "198.51.100.7"),
            ("x-forwarded-for", "203.0.113.9"),
        ];
        assert_eq!(client(ForwardedHeader::Auto, "10.0.0.1", &list), "203.0.113.9");
    }

    #[test]
    fn headers_that_disagree_do_not_count_unless_one_is_chosen() {
        let both = [
            ("x-forwarded-for", "203.0.113.1"),
            ("forwarded", "for=203.0.113.2"),
        ];
        assert_eq!(client(ForwardedHeader::Auto, "10.0.0.1", &both), "10.0.0.1");
        assert_eq!(
            client(ForwardedHeader::XForwardedFor, "10.0.0.1", &both),
            "203.0.113.1"
        );
        assert_eq!(
            client(ForwardedHeader::Forwarded, "10.0.0.1", &both),
            "203.0.113.2"
        );
        let same = [
            ("x-forwarded-for", "203.0.113.1"),
            ("forwarded", "for=\"203.0.113.1:80\""),
        ];
        assert_eq!(client(ForwardedHeader::Auto, "10.0.0.1", &same), "203.0.113.1");
    }
}
