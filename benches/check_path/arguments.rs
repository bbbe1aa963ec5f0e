//! Command-line arguments of the benchmark.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures the check path.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// Number of releases in the large catalog. The small one has a thousand.
    #[arg(long, value_enum, default_value = "million")]
    pub(crate) size: Size,

    /// Comma-separated parts to measure. Default: all.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Part>,

    /// Rounds of each measurement. The median is reported.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,

    /// Seconds of load in each round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub(crate) seconds: u16,

    /// Only check that every part works: a thousand releases, one short round each. The figures are meaningless.
    #[arg(long)]
    pub(crate) smoke: bool,

    /// Passed by Cargo to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,

    #[command(subcommand)]
    pub(crate) helper: Option<Helper>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Size {
    Thousand,
    HundredThousand,
    Million,
}

impl Size {
    pub(crate) fn releases(self) -> u32 {
        match self {
            Self::Thousand => 1_000,
            Self::HundredThousand => 100_000,
            Self::Million => 1_000_000,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Resolver alone, with cold caches.
    Resolver,
    /// Signed gateway check compared with bare actix-web.
    Gateway,
    /// Native check compared with bare actix-web.
    Native,
    /// Gateway check compared with one indexed query per check.
    Query,
    /// Large catalog compared with a small one.
    Sizes,
    /// Latency in an open loop.
    Latency,
    /// Statements that PostgreSQL receives during checks.
    Statements,
    /// Five times the connections that saturate the server.
    Overload,
    /// Checks during continuous logins and publishes.
    Costly,
    /// Checks during each attack.
    Attacks,
    /// Memory per release.
    Memory,
    /// Start from PostgreSQL.
    Start,
    /// Start from the snapshot without PostgreSQL.
    Snapshot,
    /// Time from a publish until three nodes serve it.
    Publish,
    /// Duration of a write by the number of releases of its app, on both databases.
    Growth,
    /// Memory of superseded releases.
    Superseded,
    /// Highest rate of publishes at which checks keep their rate.
    PublishRate,
    /// Idle event streams: their memory, and the rate of checks with them.
    Streams,
    /// Time from accepting a push to its arrival at the device, by channel.
    Pushes,
    /// The upload of a large file against sha256sum and a copy.
    Uploads,
    /// Downloads against nginx.
    Downloads,
    /// Checks beside as many downloads as a node permits.
    DownloadsBeside,
}

impl Arguments {
    pub(crate) fn measures(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    pub(crate) fn plan(&self) -> Plan {
        if self.smoke {
            return Plan {
                releases: 1_000,
                rounds: 1,
                load: Duration::from_secs(1),
                checks: 20_000,
                publishes: 5,
                streams: 100,
                pushes: 200,
                requests: 2_000,
                upload_bytes: 16 << 20,
                download_bytes: [64 << 10, 1 << 20, 4 << 20],
            };
        }
        Plan {
            releases: self.size.releases(),
            rounds: self.rounds.into(),
            load: Duration::from_secs(self.seconds.into()),
            checks: 1_000_000,
            publishes: 300,
            streams: 10_000,
            pushes: 4_000,
            requests: 20_000,
            upload_bytes: 1 << 30,
            download_bytes: [64 << 10, 1 << 20, 100 << 20],
        }
    }
}

/// Extent of the measurements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) releases: u32,
    pub(crate) rounds: usize,
    /// Duration of the load in a round.
    pub(crate) load: Duration,
    /// Number of checks during which statements are counted.
    pub(crate) checks: u64,
    pub(crate) publishes: usize,
    /// Number of idle event streams.
    pub(crate) streams: usize,
    /// Number of pushes over each channel.
    pub(crate) pushes: usize,
    /// Number of prepared requests of each kind, sent in turn.
    pub(crate) requests: usize,
    /// Size of the uploaded file.
    pub(crate) upload_bytes: u64,
    /// Sizes of the downloaded files.
    pub(crate) download_bytes: [u64; 3],
}

/// Helper processes that the benchmark starts from its own executable.
#[derive(Subcommand)]
pub(crate) enum Helper {
    /// A baseline server.
    #[command(hide = true)]
    Baseline(Baseline),
    /// A generator of load at a constant rate.
    #[command(hide = true)]
    OpenLoop(OpenLoop),
    /// Clients that download a file.
    #[command(hide = true)]
    Downloads(Downloads),
}

#[derive(Args)]
pub(crate) struct Baseline {
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    #[arg(long, value_enum)]
    pub(crate) kind: BaselineKind,
    /// Number of bytes in every answer.
    #[arg(long)]
    pub(crate) answer_bytes: usize,
    #[arg(long)]
    pub(crate) database_url: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BaselineKind {
    /// C: the framework's stock extractors.
    Stock,
    /// C′: decoding that borrows from the body.
    Borrowing,
    /// Q: one indexed query.
    Query,
}

#[derive(Args)]
pub(crate) struct OpenLoop {
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// Requests per second.
    #[arg(long)]
    pub(crate) rate: f64,
    #[arg(long)]
    pub(crate) seconds: u64,
    #[arg(long)]
    pub(crate) requests: PathBuf,
}

#[derive(Clone, Args)]
pub(crate) struct Downloads {
    #[arg(long)]
    pub(crate) address: SocketAddr,
    #[arg(long)]
    pub(crate) path: String,
    /// Size of the file.
    #[arg(long)]
    pub(crate) file_bytes: u64,
    #[arg(long)]
    pub(crate) connections: usize,
    /// Bytes per second of each connection. Without it, a connection reads as fast as it can.
    #[arg(long)]
    pub(crate) client_rate: Option<u64>,
}
