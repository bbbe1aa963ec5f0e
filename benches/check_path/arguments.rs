//! What to measure, from the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures the check path.
#[derive(Parser)]
pub(crate) struct Arguments {
    /// How many releases the large catalog has; the small one has a thousand.
    #[arg(long, value_enum, default_value = "million")]
    pub(crate) size: Size,

    /// The parts to measure, comma-separated; all unless given.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) only: Vec<Part>,

    /// Rounds of each measurement, of which the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) rounds: u16,

    /// Seconds of load in each round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub(crate) seconds: u16,

    /// See that every part works: a thousand releases, one short round each. Its figures mean nothing.
    #[arg(long)]
    pub(crate) smoke: bool,

    /// Cargo says so to every benchmark.
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
    /// The resolver alone, caches cold.
    Resolver,
    /// The signed gateway check against bare actix-web.
    Gateway,
    /// The native check against bare actix-web.
    Native,
    /// The gateway check against one indexed query per check.
    Query,
    /// A large catalog against a small one.
    Sizes,
    /// Latency in an open loop.
    Latency,
    /// What PostgreSQL is asked during checks.
    Statements,
    /// Five times the connections that saturate the server.
    Overload,
    /// Checks while logins and publishes are hammered.
    Costly,
    /// Checks beside each attack.
    Attacks,
    /// Memory per release.
    Memory,
    /// Start from PostgreSQL.
    Start,
    /// Start from the snapshot without PostgreSQL.
    Snapshot,
    /// From a publish to being visible on three nodes.
    Publish,
    /// A write by the number of releases of its app, on both databases.
    Growth,
    /// Memory of superseded releases.
    Superseded,
    /// Publishes beside which checks keep their rate.
    PublishRate,
    /// Idle event streams: their memory, and checks beside them.
    Streams,
    /// From accepting a push to its device, by channel.
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
                download_bytes: [64 << 10, 4 << 20],
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
            download_bytes: [1 << 20, 100 << 20],
        }
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) releases: u32,
    pub(crate) rounds: usize,
    /// How long a round's load lasts.
    pub(crate) load: Duration,
    /// Checks during which statements are counted.
    pub(crate) checks: u64,
    pub(crate) publishes: usize,
    /// Idle event streams.
    pub(crate) streams: usize,
    /// Pushes over each channel.
    pub(crate) pushes: usize,
    /// Prepared requests of each kind, which are sent in turn.
    pub(crate) requests: usize,
    /// Size of the uploaded file.
    pub(crate) upload_bytes: u64,
    /// Sizes of the downloaded files.
    pub(crate) download_bytes: [u64; 2],
}

/// What the benchmark runs itself as.
#[derive(Subcommand)]
pub(crate) enum Helper {
    /// A baseline server.
    #[command(hide = true)]
    Baseline(Baseline),
    /// A generator of load at a constant rate.
    #[command(hide = true)]
    OpenLoop(OpenLoop),
}

#[derive(Args)]
pub(crate) struct Baseline {
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    #[arg(long, value_enum)]
    pub(crate) kind: BaselineKind,
    /// Bytes of every answer.
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
    /// Requests in a second.
    #[arg(long)]
    pub(crate) rate: f64,
    #[arg(long)]
    pub(crate) seconds: u64,
    #[arg(long)]
    pub(crate) requests: PathBuf,
}
