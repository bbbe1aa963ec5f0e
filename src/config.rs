//! Every setting, from flags and the environment, in one place. `--help` is generated from here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use ipnet::IpNet;

/// More threads than any machine has cores for.
const MAX_WORKERS: usize = 512;

/// Settings of a server.
#[derive(Clone, Args)]
pub struct Config {
    /// Address to listen on.
    #[arg(long, env = "SLIPWAY_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Directory of the embedded database and of the secret key, made if absent.
    #[arg(long, env = "SLIPWAY_DATA_DIR", default_value = "./slipway-data")]
    pub data_dir: PathBuf,

    /// postgres://… or sqlite://…; absent: SQLite in the data directory.
    #[arg(long, env = "SLIPWAY_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,

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

    /// Networks of proxies (CIDR, comma-separated) whose X-Forwarded-For counts; otherwise the peer address does.
    #[arg(long, env = "SLIPWAY_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<IpNet>,

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

    /// Gateway calls allowed for one key and device in a minute; 0: no limit.
    #[arg(long, env = "SLIPWAY_GATEWAY_CALLS_PER_MINUTE", default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub gateway_calls_per_minute: u32,

    /// Threads that answer requests; absent: one for each core.
    #[arg(long, env = "SLIPWAY_WORKERS", value_parser = parse_workers)]
    pub workers: Option<usize>,

    /// Login attempts allowed for one account in five minutes.
    #[arg(long, env = "SLIPWAY_LOGIN_ATTEMPTS_PER_ACCOUNT", default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub login_attempts_per_account: u32,

    /// Login attempts allowed from one address in five minutes.
    #[arg(long, env = "SLIPWAY_LOGIN_ATTEMPTS_PER_SOURCE", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub login_attempts_per_source: u32,
}

fn parse_workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(workers @ 1..=MAX_WORKERS) => Ok(workers),
        _ => Err(format!("must be an integer from 1 to {MAX_WORKERS}")),
    }
}

impl Config {
    pub fn poll_interval(&self) -> Duration {
        Duration::from_millis(self.poll_interval_ms)
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
