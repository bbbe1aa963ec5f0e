//! `slipway device`: simulates a device. Integrators can try a server with it, and read it as an example: the program
//! of a real device has the same parts.
//!
//! `enrol` obtains the device's own token, `check` requests offers, `listen` receives and acknowledges pushes.

mod api;
mod check;
mod enrol;
mod events;
mod listen;
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

/// Arguments of `slipway device`.
#[derive(Args)]
pub struct DeviceCommand {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Obtain a token for the device, or replace the current one.
    Enrol(EnrolArguments),
    /// Check for offers to the device, and print the answer.
    Check(CheckArguments),
    /// Receive pushes, print each of them, and acknowledge them.
    Listen(ListenArguments),
}

/// Device and its server.
#[derive(Args)]
struct DeviceTarget {
    /// Base URL of the server, `http://host:port`.
    #[arg(long, value_parser = server_url)]
    url: Url,

    /// Id of the device.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    device: String,
}

/// Properties that the device reports. Omitted ones leave the server's values unchanged.
#[derive(Args)]
struct DeviceProperties {
    /// Type of the device.
    #[arg(long)]
    device_type: Option<String>,

    /// Org place of the device, as JSON: `{"l3Code":"8007"}`.
    #[arg(long, value_name = "JSON")]
    org_info: Option<String>,

    /// Other attributes of the device, as JSON: `{"abi":"arm64-v8a"}`.
    #[arg(long, value_name = "JSON")]
    attributes: Option<String>,
}

/// Runs the subcommand. The exit code is a success if it completed, and 2 for invalid arguments.
pub async fn run(command: &DeviceCommand) -> anyhow::Result<ExitCode> {
    match &command.task {
        Task::Enrol(arguments) => enrol::run(arguments).await?,
        Task::Check(arguments) => check::run(arguments).await?,
        Task::Listen(arguments) => listen::run(arguments).await?,
    }
    Ok(ExitCode::SUCCESS)
}
