//! Address of the MQTT broker.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// Broker address, parsed from `mqtt://host[:1883]` or `mqtts://host[:8883]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Host name or IP address. An IPv6 address has no brackets.
    pub host: String,
    pub port: u16,
    /// True for TLS.
    pub is_secure: bool,
}

/// Error for a text that is not a valid broker address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be mqtt://host:port, or mqtts://host:port for TLS, and nothing more; credentials go into SLIPWAY_MQTT_USERNAME \
     and SLIPWAY_MQTT_PASSWORD"
)]
pub struct InvalidBrokerAddress;

impl FromStr for BrokerAddress {
    type Err = InvalidBrokerAddress;

    fn from_str(text: &str) -> Result<Self, InvalidBrokerAddress> {
        let url = Url::parse(text).map_err(|_| InvalidBrokerAddress)?;
        let (is_secure, usual_port) = match url.scheme() {
            "mqtt" => (false, 1_883),
            "mqtts" => (true, 8_883),
            _ => return Err(InvalidBrokerAddress),
        };
        let has_more = !url.username().is_empty()
            || url.password().is_some()
            || !matches!(url.path(), "" | "/")
            || url.query().is_some()
            || url.fragment().is_some();
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err(InvalidBrokerAddress),
        };
        let port = url.port().unwrap_or(usual_port);
        if has_more || port == 0 {
            return Err(InvalidBrokerAddress);
        }
        Ok(Self {
            host,
            port,
            is_secure,
        })
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "mqtts" } else { "mqtt" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, shown) in [
            ("mqtt://broker", "mqtt://broker:1883"),
            ("mqtts://broker.example/", "mqtts://broker.example:8883"),
            ("mqtt://127.0.0.1:21883", "mqtt://127.0.0.1:21883"),
            ("mqtts://[::1]:8884", "mqtts://[::1]:8884"),
        ] {
            assert_eq!(text.parse::<BrokerAddress>().unwrap().to_string(), shown);
        }
        assert_eq!("mqtt://[::1]".parse::<BrokerAddress>().unwrap().host, "::1");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "broker",
            "broker:1883",
            "tcp://broker",
            "mqtt://",
            "mqtt://:1883",
            "mqtt://broker:0",
            "mqtt://broker:99999",
            "mqtt://me@broker",
            "mqtt://me:secret@broker",
            "mqtt://broker/path",
            "mqtt://broker?x=1",
        ] {
            assert_eq!(text.parse::<BrokerAddress>(), Err(InvalidBrokerAddress), "{text}");
        }
    }
}
