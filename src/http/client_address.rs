//! The address a request comes from, behind proxies that are trusted.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::{HttpRequest, web};
use ipnet::IpNet;

/// The networks of proxies whose forwarding headers count.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    pub fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Walks back from the peer through the addresses that trusted proxies noted, to the first that is not one.
    fn origin(&self, peer: IpAddr, forwarded_for: &str) -> IpAddr {
        let mut origin = peer;
        for noted in forwarded_for.rsplit(',') {
            if !self.trusts(origin) {
                break;
            }
            match noted.trim().parse() {
                Ok(address) => origin = address,
                Err(_) => break,
            }
        }
        origin.to_canonical()
    }
}

/// The client's address; `None` when the connection has none (a unix socket).
pub(super) fn client_address(request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip();
    let Some(proxies) = request.app_data::<web::Data<TrustedProxies>>() else {
        return Some(peer.to_canonical());
    };
    let noted: Vec<_> = request
        .headers()
        .get_all("X-Forwarded-For")
        .filter_map(|header| header.to_str().ok())
        .collect();
    Some(proxies.origin(peer, &noted.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_may_name_another_address() {
        let proxies = TrustedProxies::new(&["10.0.0.0/8".parse().unwrap()]);
        let origin = |peer: &str, forwarded_for: &str| {
            proxies.origin(peer.parse().unwrap(), forwarded_for).to_string()
        };
        assert_eq!(origin("10.0.0.1", "203.0.113.9"), "203.0.113.9");
        assert_eq!(origin("10.0.0.1", "198.51.100.7, 203.0.113.9"), "203.0.113.9");
        assert_eq!(origin("10.0.0.1", "203.0.113.9, 10.0.0.2"), "203.0.113.9");
        assert_eq!(origin("192.0.2.1", "203.0.113.9"), "192.0.2.1");
        assert_eq!(origin("10.0.0.1", "nonsense"), "10.0.0.1");
        assert_eq!(origin("10.0.0.1", ""), "10.0.0.1");
    }
}
