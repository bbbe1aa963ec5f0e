//! All settings of the program, from flags and the environment. Their doc comments are the text of `--help`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;
use clap::{ArgAction, Args};
use ipnet::IpNet;

use crate::http::ForwardedHeader;

/// Upper limit of worker threads, above the core count of any machine.
const MAX_WORKERS: usize = 512;

/// Settings of a server.
#[derive(Clone, Args)]
pub struct Config {
    /// Address on which the server listens for requests.
    #[arg(long, env = "SLIPWAY_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Separate address for /metrics, /docs and /openapi.json, which are then absent from the main address. /healthz
    /// and /readyz are served on both. If absent, one address serves everything.
    #[arg(long, env = "SLIPWAY_OPERATIONS_LISTEN")]
    pub operations_listen: Option<SocketAddr>,

    /// Directory for the embedded database, the secret key, snapshots and the id of this node at the MQTT broker. It is
    /// created if absent.
    #[arg(long, env = "SLIPWAY_DATA_DIR", default_value = "./slipway-data")]
    pub data_dir: PathBuf,

    /// Database URL: `postgres://…` or `sqlite://…`. With several PostgreSQL hosts:
    /// `postgres://user:password@host1,host2/database`. If absent, SQLite in the data directory.
    #[arg(long, env = "SLIPWAY_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,

    /// Database connections that the requests of this node share, from 2 to 1,000. If absent, 16 with PostgreSQL and 8
    /// with SQLite. With PostgreSQL, background tasks of the node use 4 more, and 1 more if the URL has several hosts.
    #[arg(long, env = "SLIPWAY_DATABASE_CONNECTIONS", value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub database_connections: Option<u32>,

    /// User name of the first administrator, who is created at the first start.
    #[arg(long, env = "SLIPWAY_ADMIN_USERNAME", default_value = "admin")]
    pub admin_username: String,

    /// Password of the first administrator. If absent, a password is generated and printed once.
    #[arg(long, env = "SLIPWAY_ADMIN_PASSWORD", hide_env_values = true)]
    pub admin_password: Option<String>,

    /// Secret keys: one or more base64 keys of 32 bytes, comma-separated. The first key encrypts and signs; all keys
    /// decrypt and verify. If absent, a key is generated and stored in the data directory. Required with PostgreSQL,
    /// where all nodes must use the same keys.
    #[arg(long, env = "SLIPWAY_SECRET_KEY", hide_env_values = true)]
    pub secret_key: Option<String>,

    /// Trusted proxies: comma-separated networks or addresses, e.g. 10.0.0.0/8. Their forwarding headers name the
    /// client. Without a trusted proxy, the client is the peer address of the connection.
    #[arg(long, env = "SLIPWAY_TRUSTED_PROXIES", value_delimiter = ',', value_parser = parse_network)]
    pub trusted_proxies: Vec<IpNet>,

    /// Header in which trusted proxies name the client. `auto` accepts either header. If both are present and name
    /// different clients, `auto` ignores both, because the client may have sent one of them.
    #[arg(long, env = "SLIPWAY_FORWARDED_HEADER", value_enum, default_value_t)]
    pub forwarded_header: ForwardedHeader,

    /// Public URL of this server, shown in the API description. Download links begin with it, unless
    /// `SLIPWAY_DOWNLOAD_URL` is set. With neither, releases from artifacts cannot be published.
    #[arg(long, env = "SLIPWAY_PUBLIC_URL")]
    pub public_url: Option<String>,

    /// Seconds until a device checks again after a check without an offer, varied by ±10 %.
    #[arg(long, env = "SLIPWAY_NEXT_CHECK_S", default_value_t = 3_600,
        value_parser = clap::value_parser!(u32).range(1..=604_800))]
    pub next_check_s: u32,

    /// Seconds until a device checks again after a check with an offer, varied by ±10 %.
    #[arg(long, env = "SLIPWAY_NEXT_CHECK_AFTER_OFFER_S", default_value_t = 300,
        value_parser = clap::value_parser!(u32).range(1..=604_800))]
    pub next_check_after_offer_s: u32,

    /// Milliseconds between polls of the database for changes made by other nodes.
    #[arg(long, env = "SLIPWAY_POLL_INTERVAL_MS", default_value_t = 250,
        value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub poll_interval_ms: u64,

    /// Notify other nodes of changes immediately (PostgreSQL NOTIFY). If false, other nodes find changes at their next
    /// poll.
    #[arg(long, env = "SLIPWAY_HINTS", default_value_t = true, action = clap::ArgAction::Set)]
    pub hints: bool,

    /// Seconds without the database after which this node is stale. A stale node withholds partial rollouts.
    #[arg(long, env = "SLIPWAY_STALE_AFTER_S", default_value_t = 900,
        value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub stale_after_s: u32,

    /// Seconds between snapshots of the catalog; 0 disables snapshots. A node starts from the newest snapshot if its
    /// database is unavailable.
    #[arg(long, env = "SLIPWAY_SNAPSHOT_INTERVAL_S", default_value_t = 300,
        value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub snapshot_interval_s: u32,

    /// Gateway calls allowed per minute for one key and device; 0 disables the limit.
    #[arg(long, env = "SLIPWAY_GATEWAY_CALLS_PER_MINUTE", default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub gateway_calls_per_minute: u32,

    /// Seconds until a push with the action `preview` expires if the device does not acknowledge it.
    #[arg(long, env = "SLIPWAY_PUSH_PREVIEW_LIFETIME_S", default_value_t = 600,
        value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    pub push_preview_lifetime_s: u32,

    /// Seconds until a push with any action other than `preview` expires if the device does not acknowledge it.
    #[arg(long, env = "SLIPWAY_PUSH_LIFETIME_S", default_value_t = 604_800,
        value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    pub push_lifetime_s: u32,

    /// Days until an expired push is deleted; 0 keeps expired pushes forever.
    #[arg(long, env = "SLIPWAY_PUSH_RETENTION_DAYS", default_value_t = 90,
        value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub push_retention_days: u32,

    /// Number of threads that answer requests. If absent, one per core.
    #[arg(long, env = "SLIPWAY_WORKERS", value_parser = parse_workers)]
    pub workers: Option<usize>,

    /// Maximum number of connections per worker. The limit of open files may lower it. Further connections wait to be
    /// accepted.
    #[arg(long, env = "SLIPWAY_CONNECTIONS_PER_WORKER", default_value_t = 25_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub connections_per_worker: u32,

    /// Maximum number of concurrent expensive calls of each kind: logins, session refreshes, device calls, user calls,
    /// and calls that stop offers. One tenant or network gets at most half of what the others leave free. Further calls
    /// are answered 503 with Retry-After.
    #[arg(long, env = "SLIPWAY_COSTLY_CALLS", default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub costly_calls: u32,

    /// Seconds between SIGTERM and the stop. During this time the node answers requests, but /readyz returns 503, so
    /// that load balancers switch to other nodes.
    #[arg(long, env = "SLIPWAY_DRAIN_S", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=3_600))]
    pub drain_s: u32,

    /// Login attempts allowed in five minutes for one account from one network (an IPv4 address or an IPv6 /64).
    #[arg(long, env = "SLIPWAY_LOGIN_ATTEMPTS_PER_ACCOUNT", default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub login_attempts_per_account: u32,

    /// Login attempts allowed in five minutes for one account from all networks together. Networks from which the
    /// account signed in during the last 30 days are exempt.
    #[arg(long, env = "SLIPWAY_LOGIN_ATTEMPTS_PER_ACCOUNT_ANYWHERE", default_value_t = 1_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub login_attempts_per_account_anywhere: u32,

    /// Login attempts allowed in five minutes from one network, over all accounts. An account that signed in from the
    /// network during the last 30 days has a separate limit of the same size.
    #[arg(long, env = "SLIPWAY_LOGIN_ATTEMPTS_PER_SOURCE", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub login_attempts_per_source: u32,

    /// Invalid API tokens allowed in five minutes from one network; also the calls allowed with one expired token or
    /// one ended session. Above the limit, the network can only use tokens that were valid at this node within the last
    /// day.
    #[arg(long, env = "SLIPWAY_INVALID_TOKENS_PER_SOURCE", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub invalid_tokens_per_source: u32,

    #[command(flatten)]
    pub artifacts: ArtifactConfig,

    #[command(flatten)]
    pub device_records: DeviceRecordConfig,

    #[command(flatten)]
    pub delivery: DeliveryConfig,

    #[command(flatten)]
    pub mqtt: MqttConfig,
}

/// Settings of artifacts.
#[derive(Clone, Args)]
pub struct ArtifactConfig {
    /// Store of artifacts: `file:///path`, or `s3://bucket/prefix` with the usual `AWS_*` variables. If absent, a folder in
    /// the data directory. Required with PostgreSQL, where all nodes must use the same store.
    #[arg(id = "artifacts-url", long, env = "SLIPWAY_ARTIFACTS_URL")]
    pub url: Option<String>,

    /// The `AWS_*` variables, which configure the access to a bucket.
    #[arg(skip = bucket_variables())]
    pub bucket_variables: Vec<(String, String)>,

    /// Maximum size of an artifact in bytes.
    #[arg(long = "artifact-max-bytes", env = "SLIPWAY_ARTIFACT_MAX_BYTES", default_value_t = 2 << 30,
        value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    pub max_bytes: u64,

    /// Days until an artifact that no release uses is deleted; 0 keeps unused artifacts forever.
    #[arg(long = "artifact-retention-days", env = "SLIPWAY_ARTIFACT_RETENTION_DAYS", default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub retention_days: u32,

    /// Days within which the content of every artifact is read and compared with its digest; 0 disables this.
    #[arg(long = "scrub-days", env = "SLIPWAY_SCRUB_DAYS", default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(0..=3_650))]
    pub scrub_days: u32,

    /// Maximum number of concurrent downloads. Further downloads are answered 503 with Retry-After.
    #[arg(long, env = "SLIPWAY_DOWNLOADS", default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub downloads: u32,

    /// Minimum rate of a download in bytes per second. A slower one is ended; the client resumes it. 0 disables this.
    #[arg(long, env = "SLIPWAY_DOWNLOAD_MIN_RATE", default_value_t = 8_192,
        value_parser = clap::value_parser!(u64).range(0..=1 << 30))]
    pub download_min_rate: u64,

    /// Answer downloads with a redirect to a pre-signed URL of the bucket: true or false. Needs an s3:// store that
    /// devices can reach.
    #[arg(long, env = "SLIPWAY_DOWNLOAD_REDIRECT", default_value_t = false, action = ArgAction::Set)]
    pub download_redirect: bool,

    /// Beginning of download links, for example the URL of a CDN that forwards to this server. If absent,
    /// `SLIPWAY_PUBLIC_URL`.
    #[arg(long, env = "SLIPWAY_DOWNLOAD_URL")]
    pub download_url: Option<String>,
}

/// Returns the `AWS_*` variables of the environment.
fn bucket_variables() -> Vec<(String, String)> {
    let texts = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    texts.filter(|(name, _)| name.starts_with("AWS_")).collect()
}

/// MQTT broker settings.
#[derive(Clone, Args)]
pub struct MqttConfig {
    /// URL of an MQTT 5 broker to which pushes are published: mqtt://host:port or mqtts://host:port. All nodes must use
    /// the same broker. If absent, devices get pushes over HTTP only.
    // Parsed later: a parse error here would print the value, which may contain a password.
    #[arg(long = "mqtt-url", env = "SLIPWAY_MQTT_URL", hide_env_values = true)]
    pub url: Option<String>,

    /// User name with which nodes authenticate to the MQTT broker.
    #[arg(long = "mqtt-username", env = "SLIPWAY_MQTT_USERNAME")]
    pub username: Option<String>,

    /// Password with which nodes authenticate to the MQTT broker.
    #[arg(long = "mqtt-password", env = "SLIPWAY_MQTT_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,

    /// PEM file of the CA certificates that are trusted for the MQTT broker. If absent, the CA certificates that the
    /// system trusts.
    #[arg(long = "mqtt-ca-file", env = "SLIPWAY_MQTT_CA_FILE")]
    pub ca_file: Option<PathBuf>,
}

/// Push delivery settings.
#[derive(Clone, Args)]
pub struct DeliveryConfig {
    /// Milliseconds until an unacknowledged push is delivered again for the first time. The wait doubles with each
    /// delivery.
    #[arg(long = "push-redelivery-ms", env = "SLIPWAY_PUSH_REDELIVERY_MS", default_value_t = 15_000,
        value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    pub redelivery_ms: u64,

    /// Maximum wait in milliseconds until an unacknowledged push is delivered again.
    #[arg(long = "push-redelivery-max-ms", env = "SLIPWAY_PUSH_REDELIVERY_MAX_MS", default_value_t = 300_000,
        value_parser = clap::value_parser!(u64).range(10..=86_400_000))]
    pub redelivery_max_ms: u64,

    /// Acknowledgements accepted per second from one device, and pushes accepted per second for one device, over all
    /// channels. A burst may be 15 times as large.
    #[arg(long = "push-device-rate", env = "SLIPWAY_PUSH_DEVICE_RATE", default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub device_rate: u32,

    /// Milliseconds without an event after which an event stream sends a comment. The comment shows both ends that the
    /// connection is alive.
    #[arg(long = "push-heartbeat-ms", env = "SLIPWAY_PUSH_HEARTBEAT_MS", default_value_t = 20_000,
        value_parser = clap::value_parser!(u64).range(10..=600_000))]
    pub heartbeat_ms: u64,
}

/// Settings of device records, which are written when devices check.
#[derive(Clone, Args)]
pub struct DeviceRecordConfig {
    /// Record the devices that check and their installed versions: true or false.
    #[arg(long = "device-records", env = "SLIPWAY_DEVICE_RECORDS", default_value_t = true, action = ArgAction::Set)]
    pub enabled: bool,

    /// Maximum number of new devices that checks may record per tenant and day (UTC). Checks of further new devices are
    /// answered but not recorded. Above half of the limit, one network may add at most a twentieth of it (at least 100)
    /// per day.
    #[arg(long, env = "SLIPWAY_NEW_DEVICES_PER_DAY", default_value_t = 100_000)]
    pub new_devices_per_day: u64,

    /// Number of device states cached in memory, so that an unchanged device writes nothing. Each takes 8 bytes; the
    /// number is rounded up to a power of two. Recommended: twice the number of devices that check at this node.
    #[arg(long = "device-record-states", env = "SLIPWAY_DEVICE_RECORD_STATES", default_value_t = 262_144,
        value_parser = clap::value_parser!(u32).range(1..=268_435_456))]
    pub states: u32,

    /// Maximum number of device records that wait for the database. Further records are dropped and counted.
    #[arg(long = "device-record-queue", env = "SLIPWAY_DEVICE_RECORD_QUEUE", default_value_t = 65_536,
        value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    pub queue: u32,

    /// Maximum number of device records written in one transaction.
    #[arg(long = "device-record-batch", env = "SLIPWAY_DEVICE_RECORD_BATCH", default_value_t = 500,
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,

    /// Milliseconds that the first device record of a batch waits for others.
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

/// Parses a network. A single address becomes a network of its own.
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

    /// Returns `None` if snapshots are disabled.
    pub fn snapshot_interval(&self) -> Option<Duration> {
        let every = Duration::from_secs(self.snapshot_interval_s.into());
        (!every.is_zero()).then_some(every)
    }

    /// Time that an expired push is kept; `None` keeps it forever.
    pub fn push_retention(&self) -> Option<TimeDelta> {
        let days = TimeDelta::days(self.push_retention_days.into());
        (!days.is_zero()).then_some(days)
    }

    /// Returns the configured database URL, or the URL of a SQLite file in the data directory.
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
