//! Parser of PostgreSQL URLs in libpq's format: one or more hosts, and the required type of server.
//!
//! No error repeats any part of a URL: a password without percent-encoding can appear in every part.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sea_orm::sqlx::postgres::PgConnectOptions;

/// PostgreSQL servers of a URL.
#[derive(Clone)]
pub(super) struct ServerList {
    /// Servers in the order of connection attempts; at least one.
    pub(super) options: Vec<PgConnectOptions>,
    pub(super) target_session_attrs: TargetSessionAttrs,
}

/// Omits the driver's options, which would show the password.
impl std::fmt::Debug for ServerList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerList").finish_non_exhaustive()
    }
}

/// Required type of server (`target_session_attrs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TargetSessionAttrs {
    Any,
    /// A server that accepts writing transactions.
    ReadWrite,
    /// A server that is not a standby.
    Primary,
}

/// Parameters that are passed to the driver.
const PASSED_ON: [&str; 12] = [
    "application_name",
    "options",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
];
/// Parameters of libpq that are accepted and ignored.
const WITHOUT_EFFECT: [&str; 16] = [
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "fallback_application_name",
    "gssencmode",
    "gsslib",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "passfile",
    "sslcompression",
    "sslcrl",
    "sslsni",
    "tcp_user_timeout",
];

const ENCODE: &str =
    "percent-encode user names, passwords and paths in the database URL (@ is %40, / is %2F, : is %3A)";

/// Decoded components of a URL.
#[derive(Debug, Default)]
struct Parts {
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
    hosts: Vec<String>,
    ports: Vec<String>,
    target_session_attrs: Option<String>,
    rest: Vec<(String, String)>,
}

/// Parses `postgres://user:password@host:port,host:port/database?parameter=value`.
pub(super) fn parse(url: &str) -> Result<ServerList, String> {
    let (_, rest) = url.split_once("://").ok_or(ENCODE)?;
    if rest.contains('#') {
        return Err(format!("{ENCODE}; # is %23"));
    }
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = before_query.split_once('/').unwrap_or((before_query, ""));
    if path.contains('@') {
        return Err(ENCODE.to_owned());
    }
    let mut parts = Parts::default();
    parts.read_authority(authority)?;
    parts.database = (!path.is_empty()).then(|| decode(path)).transpose()?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        parts.read_parameter(pair)?;
    }
    parts.servers()
}

impl Parts {
    fn read_authority(&mut self, authority: &str) -> Result<(), String> {
        let hosts = match authority.rsplit_once('@') {
            Some((user, hosts)) => {
                let (user, password) = match user.split_once(':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (user, None),
                };
                self.user = (!user.is_empty()).then(|| decode(user)).transpose()?;
                self.password = password.map(decode).transpose()?;
                hosts
            }
            None => authority,
        };
        if hosts.is_empty() {
            return Ok(());
        }
        for host in hosts.split(',') {
            if host.contains(char::is_whitespace) {
                return Err("a host of the database URL must not contain white space".to_owned());
            }
            let (host, port) = split_port(host)?;
            self.hosts.push(decode(host)?);
            self.ports.push(port.to_owned());
        }
        Ok(())
    }

    fn read_parameter(&mut self, pair: &str) -> Result<(), String> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        let listed = |value: &str| value.split(',').map(|item| item.trim().to_owned()).collect();
        match name.as_str() {
            // An address replaces the name of its host.
            "host" | "hostaddr" => self.hosts = listed(&value),
            "port" => self.ports = listed(&value),
            "user" => self.user = Some(value),
            "password" => self.password = Some(value),
            "dbname" => self.database = Some(value),
            "target_session_attrs" => self.target_session_attrs = Some(value),
            "load_balance_hosts" if value == "disable" => {}
            "load_balance_hosts" => {
                return Err(
                    "hosts of the database URL are tried in order: remove load_balance_hosts".to_owned(),
                );
            }
            known if WITHOUT_EFFECT.contains(&known) => {}
            known if PASSED_ON.contains(&known) || is_option(known) => self.rest.push((name, value)),
            _ => {
                return Err(format!(
                    "the database URL has an unknown parameter; known parameters are host, hostaddr, port, user, \
                     password, dbname, target_session_attrs, {} and options[…]; {ENCODE}",
                    PASSED_ON.join(", ")
                ));
            }
        }
        Ok(())
    }

    fn servers(mut self) -> Result<ServerList, String> {
        if self.hosts.is_empty() {
            // The driver's default: a socket if there is one, otherwise this machine.
            self.hosts.push(String::new());
        }
        self.ports.retain(|port| !port.is_empty() || self.hosts.len() > 1);
        if self.ports.len() > 1 && self.ports.len() != self.hosts.len() {
            return Err("the database URL must have one port for all hosts or one for each".to_owned());
        }
        let target_session_attrs = self.target_session_attrs()?;
        let options = (0..self.hosts.len()).map(|index| self.options(index));
        Ok(ServerList {
            options: options.collect::<Result<_, _>>()?,
            target_session_attrs,
        })
    }

    /// Returns the required type of server. Several hosts are a primary with standbys, of which only the primary is
    /// writable.
    fn target_session_attrs(&self) -> Result<TargetSessionAttrs, String> {
        match self.target_session_attrs.as_deref() {
            None if self.hosts.len() > 1 => Ok(TargetSessionAttrs::ReadWrite),
            None | Some("any") => Ok(TargetSessionAttrs::Any),
            Some("read-write") => Ok(TargetSessionAttrs::ReadWrite),
            Some("primary") => Ok(TargetSessionAttrs::Primary),
            Some("read-only" | "standby" | "prefer-standby") => Err(
                "Slipway writes to its database: target_session_attrs must be read-write, primary or any"
                    .to_owned(),
            ),
            Some(_) => Err("target_session_attrs must be read-write, primary or any".to_owned()),
        }
    }

    /// Builds a single-host URL and lets the driver parse it, so that the password file and the environment apply as
    /// usual.
    fn options(&self, index: usize) -> Result<PgConnectOptions, String> {
        let host = self.hosts.get(index).map_or("", String::as_str);
        let port = match self.ports.as_slice() {
            [port] => port,
            ports => ports.get(index).map_or("", String::as_str),
        };
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let own = [
            ("user", self.user.as_deref().unwrap_or_default()),
            ("password", self.password.as_deref().unwrap_or_default()),
            ("host", host),
            ("port", valid_port(port)?),
        ];
        let own = own.into_iter().filter(|(_, value)| !value.is_empty());
        let rest = self
            .rest
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let query: Vec<_> = own
            .chain(rest)
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        let database = encode(self.database.as_deref().unwrap_or_default());
        format!("postgres:///{database}?{}", query.join("&"))
            .parse()
            .map_err(|_| format!("a parameter of the database URL has an invalid value; {ENCODE}"))
    }
}

fn is_option(name: &str) -> bool {
    name.starts_with("options[") && name.ends_with(']')
}

/// Splits a host at the last colon into name and port, except for the colons of an IPv6 address.
fn split_port(host: &str) -> Result<(&str, &str), String> {
    if host.starts_with('[') {
        let end = host
            .find(']')
            .ok_or("an IPv6 address in the database URL must be in brackets: [::1]")?;
        let (address, rest) = host.split_at(end + 1);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((address, port)),
            None if rest.is_empty() => Ok((address, "")),
            None => Err("a host of the database URL must have the form host:port".to_owned()),
        };
    }
    match host.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            Err("an IPv6 address in the database URL must be in brackets: [::1]".to_owned())
        }
        Some(split) => Ok(split),
        None => Ok((host, "")),
    }
}

fn valid_port(port: &str) -> Result<&str, String> {
    match port.parse::<u16>() {
        Ok(1..) => Ok(port),
        _ if port.is_empty() => Ok(port),
        _ => Err(format!(
            "a port of the database URL must be a number from 1 to 65535; {ENCODE}"
        )),
    }
}

fn decode(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| format!("the database URL is not UTF-8; {ENCODE}"))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns each host with its port, or the path of a socket.
    fn hosts(url: &str) -> Vec<String> {
        let servers = parse(url).unwrap();
        let address = |options: &PgConnectOptions| match options.get_socket() {
            Some(path) => path.display().to_string(),
            None => format!("{} {}", options.get_host(), options.get_port()),
        };
        servers.options.iter().map(address).collect()
    }

    #[test]
    fn hosts_are_read_as_libpq_reads_them() {
        for (url, expected) in [
            ("postgres://h/db", vec!["h 5432"]),
            ("postgresql://u:p@h:5433/db", vec!["h 5433"]),
            ("postgres://u@h1:5432,h2:5433/db", vec!["h1 5432", "h2 5433"]),
            (
                "postgres://h1,h2:5433,h3/db",
                vec!["h1 5432", "h2 5433", "h3 5432"],
            ),
            (
                "postgres://[::1]:5433,[fe80::1]/db",
                vec!["::1 5433", "fe80::1 5432"],
            ),
            ("postgres:///db?host=a,b&port=5433", vec!["a 5433", "b 5433"]),
            ("postgres:///db?host=a,b&port=5433,5434", vec!["a 5433", "b 5434"]),
            (
                "postgres://h/db?hostaddr=10.0.0.1,10.0.0.2",
                vec!["10.0.0.1 5432", "10.0.0.2 5432"],
            ),
            ("postgres://%2Frun%2Fpg/db", vec!["/run/pg"]),
            ("postgres://%2Frun%2Fa,h/db", vec!["/run/a", "h 5432"]),
            ("postgres://u@localhost/db?host=/run/pg", vec!["/run/pg"]),
        ] {
            assert_eq!(hosts(url), expected, "{url}");
        }
    }

    #[test]
    fn names_are_decoded() {
        let servers = parse("postgres://o%27neil:p%40s%2Fs@a,b/my%20db?application_name=x%20y").unwrap();
        for options in &servers.options {
            assert_eq!(options.get_username(), "o'neil");
            assert_eq!(options.get_database(), Some("my db"));
            assert_eq!(options.get_application_name(), Some("x y"));
        }
    }

    #[test]
    fn of_several_hosts_one_is_wanted_that_can_be_written_to() {
        for (url, expected) in [
            ("postgres://a/db", TargetSessionAttrs::Any),
            ("postgres://a,b/db", TargetSessionAttrs::ReadWrite),
            (
                "postgres://a,b/db?target_session_attrs=any",
                TargetSessionAttrs::Any,
            ),
            (
                "postgres://a/db?target_session_attrs=read-write",
                TargetSessionAttrs::ReadWrite,
            ),
            (
                "postgres://a,b/db?target_session_attrs=primary",
                TargetSessionAttrs::Primary,
            ),
        ] {
            assert_eq!(parse(url).unwrap().target_session_attrs, expected, "{url}");
        }
    }

    #[test]
    fn an_error_repeats_nothing_of_the_url() {
        for url in [
            "postgres://user:secret/x@host/db",
            "postgres://user:secret#x@host/db",
            "postgres://user:secret?x@host/db",
            "postgres://user:secret?x=y@host/db",
            "postgres://user:%ffsecret@host/db",
            "postgres://user@host:secret/db",
            "postgres://user@host:0/db",
            "postgres://user@host:70000/db",
            "postgres://user:secret@[::1/db",
            "postgres://user:secret@::1/db",
            "postgres://user:secret@a,b/db?port=1,2,3",
            "postgres://user:secret@a/db?sslmode=secret",
            "postgres://user:secret@a/db?target_session_attrs=standby",
            "postgres://user:secret@a/db?target_session_attrs=secret",
            "postgres://user:secret@a/db?load_balance_hosts=random",
        ] {
            let error = parse(url).expect_err(url);
            assert!(
                !error.contains("secret") && !error.contains("user:"),
                "{url}: {error}"
            );
        }
    }
}
