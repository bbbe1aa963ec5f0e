//! Every setting, from flags and the environment, in one place. `--help` is generated from here.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use clap::{ArgAction, Args};
use ipnet::IpNet;

use crate::http::ForwardedHeader;

/// More threads than any machine has cores for.
const MAX_WORKERS: usize = 512;

/// Settings of a server.
#[derive(Clone, Args)]
pub struct Config {
    /// Address to listen on.
    #[arg(long, env = "SLIPWAY_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Address for /metrics, /docs and /openapi.json, which then are absent from the other; /healthz and /readyz are on
    /// both. Absent: everything is on one address.
    #[arg(long, env = "SLIPWAY_OPERATIONS_LISTEN")]
    pub operations_listen: Option<SocketAddr>,

    /// Directory of the embedded database, the secret key, snapshots and the name at the broker; made if absent.
    #[arg(long, env = "SLIPWAY_DATA_DIR", default_value = "./slipway-data")]
    pub data_dir: PathBuf,

    /// postgres://… (with several hosts: `postgres://user:password@host1,host2/database`) or sqlite://…; absent: SQLite in the
    /// data directory.
    #[arg(long, env = "SLIPWAY_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,

    /// Connections to the database that requests of this node share, from 2 to 1,000; absent: 16 with PostgreSQL, 8 with
    /// SQLite. With PostgreSQL the node's own tasks take 4 more, and 1 more with several hosts.
    #[arg(long, env = "SLIPWAY_DATABASE_CONNECTIONS", value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub database_connections: Option<u32>,

    /// Name of the first administrator, made at the first start.
    #[arg(long, env = "SLIPWAY_ADMIN_USERNAME", default_value = "admin")]
    pub admin_username: String,

    /// Password of the first administrator; absent: made up and printed once.
    #[arg(long, env = "SLIPWAY_ADMIN_PASSWORD", hide_env_values = true)]
    pub admin_password: Option<String>,

    /// One or more comma-separated base64 keys of 32 bytes: the first encrypts and signs, all decrypt and verify.
    /// Absent: made and kept in the data directory; required with PostgreSQL, where all nodes must share it.
    #[arg(long, env = "SLIPWAY_SECRET_KEY", hide_env_values = true)]
    pub secret_key: Option<String>,

    /// Networks or addresses of proxies (comma-separated, e.g. 10.0.0.0/8) whose forwarding headers name the client;
    /// otherwise the peer address does.
    #[arg(long, env = "SLIPWAY_TRUSTED_PROXIES", value_delimiter = ',', value_parser = parse_network)]
    pub trusted_proxies: Vec<IpNet>,

    /// Header in which those proxies name the client. `auto` takes either, and neither where both are present and
    /// name different clients, since one may be the client's own.
    #[arg(long, env = "SLIPWAY_FORWARDED_HEADER", value_enum, default_value_t)]
    pub forwarded_header: ForwardedHeader,

    /// Address under which clients reach this server, named in the API description.
    #[arg(long, env = "SLIPWAY_PUBLIC_URL")]
    pub public_url: Option<String>,

    /// Seconds after which a device asks again when it got nothing; spread by ±10 %.
    #[arg(long, env = "SLIPWAY_NEXT_CHECK_S", default_value_t = 3_600,
        value_parser = clap::value_parser!(u32).range(1..=604_800))]
    pub next_check_s: u32,

    /// Seconds after which a device asks again when it got an offer; spread by ±10 %.
    #[arg(long, env = "SLIPWAY_NEXT_CHECK_AFTER_OFFER_S", default_value_t = 300,
        value_parser = clap::value_parser!(u32).range(1..=604_800))]
    pub next_check_after_offer_s: u32,

    /// Milliseconds between looks at the database for changes made by other nodes.
    #[arg(long, env = "SLIPWAY_POLL_INTERVAL_MS", default_value_t = 250,
        value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub poll_interval_ms: u64,

    /// Tell other nodes of changes at once (PostgreSQL's NOTIFY) instead of leaving them to their polls.
    #[arg(long, env = "SLIPWAY_HINTS", default_value_t = true, action = clap::ArgAction::Set)]
    pub hints: bool,

    /// Seconds without the database after which this node is stale and withholds partial rollouts.
    #[arg(long, env = "SLIPWAY_STALE_AFTER_S", default_value_t = 900,
        value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub stale_after_s: u32,

    /// Seconds between snapshots of the catalog, from which a node starts when its database is unavailable; 0: none.
    #[arg(long, env = "SLIPWAY_SNAPSHOT_INTERVAL_S", default_value_t = 300,
        value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub snapshot_interval_s: u32,

    /// Gateway calls allowed for one key and device in a minute; 0: no limit.
    #[arg(long, env = "SLIPWAY_GATEWAY_CALLS_PER_MINUTE", default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub gateway_calls_per_minute: u32,

    /// Seconds for which a push with the action `preview` is offered to a device that does not acknowledge it.
    #[arg(long, env = "SLIPWAY_PUSH_PREVIEW_LIFETIME_S", default_value_t = 600,
        value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    pub push_preview_lifetime_s: u32,

    /// The same for every other push.
    #[arg(long, env = "SLIPWAY_PUSH_LIFETIME_S", default_value_t = 604_800,
        value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    pub push_lifetime_s: u32,

    /// Days for which a push is kept after it expired; 0: for ever.
    #[arg(long, env = "SLIPWAY_PUSH_RETENTION_DAYS", default_value_t = 90,
        value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub push_retention_days: u32,

    /// Threads that answer requests; absent: one for each core.
    #[arg(long, env = "SLIPWAY_WORKERS", value_parser = parse_workers)]
    pub workers: Option<usize>,

    /// Connections that one worker holds, or fewer if the limit of open files demands it; further ones wait unaccepted.
    #[arg(long, env = "SLIPWAY_CONNECTIONS_PER_WORKER", default_value_t = 25_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections_per_worker: u32,

    /// Calls at a time that cost much, of each kind: logins, refreshes, devices, people, and what stops offers. One tenant
    /// or network has at most half of what the others leave; further calls are answered 503 with Retry-After.
    #[arg(long, env = "SLIPWAY_COSTLY_CALLS", default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub costly_calls: u32,

    /// Seconds between SIGTERM and the stop, in which /readyz says 503 and everything is answered, so that balancers
    /// turn to other nodes first.
    #[arg(long, env = "SLIPWAY_DRAIN_S", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=3_600))]
    pub drain_s: u32,

    /// Login attempts allowed for one account from one network (an IPv4 address, an IPv6 /64) in five minutes.
    #[arg(long, env = "SLIPWAY_LOGIN_ATTEMPTS_PER_ACCOUNT", default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub login_attempts_per_account: u32,

    /// Login attempts allowed for one account from everywhere in five minutes; networks from which the account signed
    /// in during the last 30 days do not count and are not refused.
    #[arg(long, env = "SLIPWAY_LOGIN_ATTEMPTS_PER_ACCOUNT_ANYWHERE", default_value_t = 1_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub login_attempts_per_account_anywhere: u32,

    /// Login attempts allowed from one network in five minutes, over all accounts; an account that signed in from there
    /// during the last 30 days has this number for itself.
    #[arg(long, env = "SLIPWAY_LOGIN_ATTEMPTS_PER_SOURCE", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub login_attempts_per_source: u32,

    /// Invalid API tokens and ended sessions that one network may present in five minutes; beyond it, it waits with
    /// tokens that were not valid at this node during the last day.
    #[arg(long, env = "SLIPWAY_INVALID_TOKENS_PER_SOURCE", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub invalid_tokens_per_source: u32,

    #[command(flatten)]
    pub device_records: DeviceRecordConfig,

    #[command(flatten)]
    pub delivery: DeliveryConfig,

    #[command(flatten)]
    pub mqtt: MqttConfig,
}

/// Settings of the broker over which pushes go too.
#[derive(Clone, Args)]
pub struct MqttConfig {
    /// mqtt://host:port or mqtts://host:port of an MQTT 5 broker that pushes are published to, the same on every node;
    /// absent: devices get pushes by HTTP alone.
    // Read later: an error here would repeat what was given, and somebody may have put a password into it.
    #[arg(long = "mqtt-url", env = "SLIPWAY_MQTT_URL", hide_env_values = true)]
    pub url: Option<String>,

    /// Name under which nodes sign in at the broker.
    #[arg(long = "mqtt-username", env = "SLIPWAY_MQTT_USERNAME")]
    pub username: Option<String>,

    /// The password for it.
    #[arg(long = "mqtt-password", env = "SLIPWAY_MQTT_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,

    /// File with the certificates (PEM) that the broker's must descend from; absent: those that the system trusts.
    #[arg(long = "mqtt-ca-file", env = "SLIPWAY_MQTT_CA_FILE")]
    pub ca_file: Option<PathBuf>,
}

/// Settings of how pushes are handed to devices.
#[derive(Clone, Args)]
pub struct DeliveryConfig {
    /// Milliseconds after which a push that the device did not acknowledge is offered again; twice as long each time.
    #[arg(long = "push-redelivery-ms", env = "SLIPWAY_PUSH_REDELIVERY_MS", default_value_t = 15_000,
        value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    pub redelivery_ms: u64,

    /// The longest that it gets.
    #[arg(long = "push-redelivery-max-ms", env = "SLIPWAY_PUSH_REDELIVERY_MAX_MS", default_value_t = 300_000,
        value_parser = clap::value_parser!(u64).range(10..=86_400_000))]
    pub redelivery_max_ms: u64,

    /// Acknowledgements taken from one device in a second, and pushes to one, over all channels; 15 times as many at
    /// once.
    #[arg(long = "push-device-rate", env = "SLIPWAY_PUSH_DEVICE_RATE", default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub device_rate: u32,

    /// Milliseconds after which an event stream that was silent sends a comment, so that both ends know they are there.
    #[arg(long = "push-heartbeat-ms", env = "SLIPWAY_PUSH_HEARTBEAT_MS", default_value_t = 20_000,
        value_parser = clap::value_parser!(u64).range(10..=600_000))]
    pub heartbeat_ms: u64,
}

/// Settings of what is kept of checking devices.
#[derive(Clone, Args)]
pub struct DeviceRecordConfig {
    /// Whether to record which devices check, with what installed: true or false.
    #[arg(long = "device-records", env = "SLIPWAY_DEVICE_RECORDS", default_value_t = true, action = ArgAction::Set)]
    pub enabled: bool,

    /// Devices that checks may make known in one tenant on one day (UTC); beyond it they are answered, not recorded.
    /// Once half of them have come, one network may add a twentieth (at least 100) in a day.
    #[arg(long, env = "SLIPWAY_NEW_DEVICES_PER_DAY", default_value_t = 100_000)]
    pub new_devices_per_day: u64,

    /// States of devices remembered in memory, so that an unchanged one writes nothing; eight bytes each, rounded up to
    /// a power of two. Give twice the devices that check at this node.
    #[arg(long = "device-record-states", env = "SLIPWAY_DEVICE_RECORD_STATES", default_value_t = 262_144,
        value_parser = clap::value_parser!(u32).range(1..=268_435_456))]
    pub states: u32,

    /// Records that may wait for the database; beyond it they are dropped and counted.
    #[arg(long = "device-record-queue", env = "SLIPWAY_DEVICE_RECORD_QUEUE", default_value_t = 65_536,
        value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    pub queue: u32,

    /// Records written in one transaction.
    #[arg(long = "device-record-batch", env = "SLIPWAY_DEVICE_RECORD_BATCH", default_value_t = 500,
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,

    /// Milliseconds that the first record of a batch waits for others.
    #[arg(long = "device-record-wait-ms", env = "SLIPWAY_DEVICE_RECORD_WAIT_MS", default_value_t = 1_000,
        value_parser = clap::value_parser!(u64).range(0..=3_600_000))]
    pub wait_ms: u64,
}

fn parse_workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(workers @ 1..=MAX_WORKERS) => Ok(workers),
        _ => Err(format!("must be an integer from 1 to {MAX_WORKERS}")),
    }
}

/// A network, or an address as a network of its own.
fn parse_network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    text.parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| "must be a network such as 10.0.0.0/8, or an address".to_owned())
}

impl Config {
    pub fn poll_interval(&self) -> Duration {
        Duration::from_millis(self.poll_interval_ms)
    }

    /// `None` when snapshots are switched off.
    pub fn snapshot_interval(&self) -> Option<Duration> {
        let every = Duration::from_secs(self.snapshot_interval_s.into());
        (!every.is_zero()).then_some(every)
    }

    /// How long a push is kept after it expired; `None`: for ever.
    pub fn push_retention(&self) -> Option<TimeDelta> {
        let days = TimeDelta::days(self.push_retention_days.into());
        (!days.is_zero()).then_some(days)
    }

    /// The database to use: the one given, else a file in the data directory.
    pub fn database_url_or_embedded(&self) -> String {
        self.database_url
            .clone()
            .unwrap_or_else(|| format!("sqlite://{}", self.data_dir.join("slipway.db").display()))
    }

    pub fn uses_postgres(&self) -> bool {
        self.database_url
            .as_ref()
            .is_some_and(|url| url.starts_with("postgres"))
    }
}
