//! `slipway device`: plays a device. For integrators to try a server with, and to read: a device's program has the same
//! parts.
//!
//! `enrol` gets a token of its own, `check` asks what is new, `listen` receives pushes and acknowledges them.

mod api;
mod check;
mod enrol;
mod events;
mod listen;
mod pause;
mod polls;
mod sse;
mod token;

use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use reqwest::Url;

use self::check::CheckArguments;
use self::enrol::EnrolArguments;
use self::listen::ListenArguments;
use super::server::server_url;

/// A device.
#[derive(Args)]
pub struct DeviceCommand {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Get a token of its own for the device, or the next one in place of it.
    Enrol(EnrolArguments),
    /// Ask what is new for the device, and print the answer.
    Check(CheckArguments),
    /// Receive pushes, print each, and acknowledge them.
    Listen(ListenArguments),
}

/// Which device it is, and where its server.
#[derive(Args)]
struct Identity {
    /// The server's base, `http://host:port`.
    #[arg(long, value_parser = server_url)]
    url: Url,

    /// The device's id.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    device: String,
}

/// What a device tells of itself; left out, what the server knows stays.
#[derive(Args)]
struct Description {
    /// The device's type.
    #[arg(long)]
    device_type: Option<String>,

    /// Where the device belongs, as JSON: `{"l3Code":"8007"}`.
    #[arg(long, value_name = "JSON")]
    org_info: Option<String>,

    /// Whatever else it says of itself, as JSON: `{"abi":"arm64-v8a"}`.
    #[arg(long, value_name = "JSON")]
    attributes: Option<String>,
}

/// Does what is asked. The exit code says whether it was done; it is 2 for bad usage.
pub async fn run(command: &DeviceCommand) -> anyhow::Result<ExitCode> {
    match &command.task {
        Task::Enrol(arguments) => enrol::run(arguments).await?,
        Task::Check(arguments) => check::run(arguments).await?,
        Task::Listen(arguments) => listen::run(arguments).await?,
    }
    Ok(ExitCode::SUCCESS)
}
