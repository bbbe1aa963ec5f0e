//! Address at which a browser reached the server: its host, and whether the connection was encrypted.

use actix_web::http::header::HOST;
use actix_web::{HttpRequest, web};
use url::Url;

use super::client_address::{TrustedProxies, client_address};
use super::forwarded::is_forwarded;

/// Public address of the server, as configured.
#[derive(Debug, Clone, Default)]
pub(super) struct PublicAddress(Option<Url>);

impl PublicAddress {
    pub(super) fn new(public_url: Option<&str>) -> Self {
        Self(public_url.and_then(|url| Url::parse(url).ok()))
    }

    fn has_host(&self, host: &str) -> bool {
        self.0
            .as_ref()
            .is_some_and(|url| authority(url).as_deref() == Some(host))
    }

    fn is_https(&self) -> bool {
        self.0.as_ref().is_some_and(|url| url.scheme() == "https")
    }
}

fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(
        url.port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
    )
}

/// Address of one request.
pub(crate) struct Site<'a> {
    request: &'a HttpRequest,
    host: String,
}

impl<'a> Site<'a> {
    pub(crate) fn of(request: &'a HttpRequest) -> Self {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        Self {
            request,
            host: host.unwrap_or_default().to_ascii_lowercase(),
        }
    }

    fn public(&self) -> Option<&PublicAddress> {
        Some(self.request.app_data::<web::Data<PublicAddress>>()?.get_ref())
    }

    /// Returns `true` if the browser used TLS: a trusted proxy says so, or the host is that of a public `https` URL.
    pub(crate) fn is_secure(&self) -> bool {
        let is_public = self
            .public()
            .is_some_and(|url| url.is_https() && url.has_host(&self.host));
        is_public || self.proxy_used_tls()
    }

    fn proxy_used_tls(&self) -> bool {
        let proxies = self.request.app_data::<web::Data<TrustedProxies>>();
        proxies
            .zip(self.request.peer_addr())
            .is_some_and(|(proxies, peer)| proxies.used_tls(peer.ip(), self.request.headers()))
    }

    /// Returns `true` if the browser runs on this machine: its address and the host that it named are loopback, and no
    /// untrusted proxy forwarded the request.
    pub(crate) fn is_loopback(&self) -> bool {
        let peer_is_client =
            client_address(self.request) == self.request.peer_addr().map(|peer| peer.ip().to_canonical());
        let is_local = client_address(self.request).is_some_and(|address| address.is_loopback());
        is_local && !(peer_is_client && is_forwarded(self.request.headers())) && is_loopback_host(&self.host)
    }

    /// Returns `true` if an `Origin` header names this server.
    pub(crate) fn is_own_origin(&self, origin: &str) -> bool {
        let scheme = if self.is_secure() { "https" } else { "http" };
        !self.host.is_empty() && origin.eq_ignore_ascii_case(&format!("{scheme}://{}", self.host))
    }
}

fn is_loopback_host(host: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}/")) else {
        return false;
    };
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::http::ForwardedHeader;

    fn request(peer: &str, headers: &[(&str, &str)]) -> HttpRequest {
        request_behind(ForwardedHeader::Auto, peer, headers)
    }

    fn request_behind(header: ForwardedHeader, peer: &str, headers: &[(&str, &str)]) -> HttpRequest {
        let proxies = TrustedProxies::new(&["10.0.0.0/8".parse().unwrap()], header);
        let mut request = TestRequest::default()
            .peer_addr(format!("{peer}:9").parse().unwrap())
            .app_data(web::Data::new(PublicAddress::new(Some(
                "https://slipway.example",
            ))))
            .app_data(web::Data::new(proxies));
        for (name, value) in headers {
            request = request.insert_header((*name, *value));
        }
        request.to_http_request()
    }

    #[test]
    fn tls_is_known_from_the_public_url_or_a_trusted_proxy() {
        let secure = |peer, headers: &[(&str, &str)]| Site::of(&request(peer, headers)).is_secure();
        assert!(secure("127.0.0.1", &[("host", "slipway.example")]));
        assert!(!secure("127.0.0.1", &[("host", "other.example")]));
        assert!(secure(
            "10.0.0.1",
            &[("host", "other.example"), ("x-forwarded-proto", "https")]
        ));
        assert!(secure(
            "10.0.0.1",
            &[("host", "a"), ("forwarded", "for=1.2.3.4;proto=https")]
        ));
        assert!(!secure(
            "10.0.0.1",
            &[("host", "a"), ("x-forwarded-proto", "https, http")]
        ));
        assert!(!secure(
            "192.0.2.1",
            &[("host", "a"), ("x-forwarded-proto", "https")]
        ));
        // One of two headers that disagree may come from the client.
        assert!(!secure(
            "10.0.0.1",
            &[
                ("host", "a"),
                ("x-forwarded-proto", "https"),
                ("forwarded", "for=1.2.3.4;proto=http")
            ]
        ));
    }

    #[test]
    fn a_header_that_the_proxies_do_not_write_is_ignored() {
        let host = ("host", "a");
        let list = [host, ("x-forwarded-proto", "https")];
        let rfc = [host, ("forwarded", "for=1.2.3.4;proto=\"https\"")];
        for (header, headers, is_secure) in [
            (ForwardedHeader::XForwardedFor, list, true),
            (ForwardedHeader::XForwardedFor, rfc, false),
            (ForwardedHeader::Forwarded, list, false),
            (ForwardedHeader::Forwarded, rfc, true),
        ] {
            let request = request_behind(header, "10.0.0.1", &headers);
            assert_eq!(
                Site::of(&request).is_secure(),
                is_secure,
                "{header:?} {headers:?}"
            );
        }
    }

    #[test]
    fn a_forwarded_request_is_not_from_this_machine() {
        let local = |peer, headers: &[(&str, &str)]| Site::of(&request(peer, headers)).is_loopback();
        assert!(local("127.0.0.1", &[("host", "127.0.0.1:8080")]));
        assert!(local("127.0.0.1", &[("host", "localhost:8080")]));
        assert!(!local("127.0.0.1", &[("host", "evil.example:8080")]));
        assert!(!local(
            "127.0.0.1",
            &[("host", "localhost"), ("x-forwarded-for", "203.0.113.9")]
        ));
        assert!(!local("192.0.2.1", &[("host", "localhost")]));
    }

    #[test]
    fn an_origin_is_the_own_one_with_scheme_host_and_port() {
        let own = |origin: &str| {
            let request = request("127.0.0.1", &[("host", "127.0.0.1:8080")]);
            Site::of(&request).is_own_origin(origin)
        };
        assert!(own("http://127.0.0.1:8080"));
        for foreign in [
            "null",
            "",
            "https://127.0.0.1:8080",
            "http://127.0.0.1",
            "http://evil.example",
        ] {
            assert!(!own(foreign), "{foreign}");
        }
    }
}
