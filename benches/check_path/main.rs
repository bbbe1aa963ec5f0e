//! Cost of the check path, each figure compared with a baseline of the same run.
//!
//! `cargo bench --bench check_path` measures at a million releases; `-- --help` lists the parts and sizes. It installs
//! `wrk`, PostgreSQL, Mosquitto, nginx and curl if they are missing, and starts a throw-away PostgreSQL server.
//! `docs/benchmarks.md` records the results.

#![expect(clippy::disallowed_methods, reason = "benchmarks measure real time")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "figures go to standard output, progress to standard error"
)]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts, rates and times of a benchmark are far from the limits of their types"
)]

mod arguments;
mod artifact_files;
mod baseline;
mod bulk_data;
mod connection;
mod devices;
mod download_clients;
mod download_load;
mod fleet;
mod growth_data;
mod install;
mod measure;
mod nginx;
mod node;
mod open_loop;
mod parts;
mod postgres;
mod process;
mod report;
mod requests;
mod wrk;

use clap::Parser;

use self::arguments::{Arguments, Helper};

/// The program's allocator, so that baselines do not differ in it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match &arguments.helper {
        None => parts::run(&arguments),
        Some(Helper::Baseline(baseline)) => baseline::serve(baseline),
        Some(Helper::OpenLoop(load)) => open_loop::run(load),
        Some(Helper::Downloads(downloads)) => download_clients::run(downloads),
    }
}
