//! The `slipway` program: arguments, logs, and over to the library.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use slipway::app::{self, Start};
use slipway::clock::SystemClock;
use slipway::commands::device::{self, DeviceCommand};
use slipway::commands::push::{self, PushCommand};
use slipway::commands::top_call::{self, TopCall};
use slipway::config::Config;
use slipway::maintenance::admin::{self, AdminCommand};
use slipway::maintenance::rekey::{self, RekeyCommand};
use slipway::maintenance::restore_finish::{self, RestoreFinishCommand};
use slipway::storage::Durability;
use slipway::{data_directory, demo, http, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Release management for fleets of devices.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// What to log: a level (error, warn, info, debug, trace) or directives such as `info,slipway=debug`.
    /// Absent: info, and warn for the demo and the client commands.
    #[arg(long, env = "SLIPWAY_LOG", global = true)]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a server.
    Serve(Box<Config>),
    /// Run a server on a throw-away database with a sample catalog, and print what to try.
    Demo(Box<Config>),
    /// Bring the database's schema up to date, as `serve` also does.
    Migrate(Box<Config>),
    /// Manage the platform's administrators in the database, while servers run or not.
    Admin {
        #[command(subcommand)]
        command: AdminCommand,
    },
    /// Seal again with the first secret key what another one sealed, and show what still needs another.
    Rekey(Box<RekeyCommand>),
    /// After a restore from a backup: end sessions, one-time codes and device tokens, and list the credentials that the
    /// restored database accepts.
    RestoreFinish(Box<RestoreFinishCommand>),
    /// Print the description of the API.
    Openapi,
    /// Sign a call of the gateway, send it, and show what was sent, signed and answered.
    TopCall(Box<TopCall>),
    /// Push a package to devices, and follow how far it comes.
    Push(Box<PushCommand>),
    /// Play a device: enrol, check, receive and acknowledge pushes.
    Device(Box<DeviceCommand>),
}

#[tokio::main]
async fn main() -> ExitCode {
    data_directory::keep_files_private();
    let arguments = Arguments::parse();
    match run(arguments).await {
        Ok(code) => code,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the last word to whoever started the program")]
            {
                eprintln!("slipway: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let usual = match arguments.command {
        Command::Admin { .. }
        | Command::Rekey(_)
        | Command::RestoreFinish(_)
        | Command::Demo(_)
        | Command::TopCall(_)
        | Command::Push(_)
        | Command::Device(_) => "warn",
        _ => "info",
    };
    telemetry::start_logging(arguments.log.as_deref().unwrap_or(usual))?;
    let done = match arguments.command {
        Command::Serve(config) => serve(&config).await,
        Command::Demo(config) => demo::run(*config).await,
        Command::Migrate(config) => {
            data_directory::make(&config.data_dir)?;
            app::open_database(&config, Durability::Full).await.map(drop)
        }
        Command::Admin { command } => admin::run(command, &SystemClock, &mut std::io::stdout()).await,
        Command::Rekey(command) => rekey::run(&command, &SystemClock, &mut std::io::stdout()).await,
        Command::RestoreFinish(command) => {
            restore_finish::run(&command, &SystemClock, &mut std::io::stdout()).await
        }
        Command::Openapi => print_openapi(),
        Command::TopCall(call) => return top_call::run(&call, &SystemClock).await,
        Command::Push(push) => return push::run(&push).await,
        Command::Device(device) => return device::run(&device).await,
    };
    done.map(|()| ExitCode::SUCCESS)
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    let start = Start {
        clock: Arc::new(SystemClock),
        durability: Durability::Full,
        heed_signals: true,
        announce,
    };
    let running = app::start(config, start).await?;
    if let Some(address) = running.operations_address {
        tracing::info!(%address, "listening for operators");
    }
    tracing::info!(address = %running.address, "listening");
    running.wait().await
}

#[expect(clippy::print_stdout, reason = "a password is printed once, and never logged")]
fn announce(first: &slipway::services::installation::FirstAdministrator) {
    if let Some(password) = &first.password {
        println!(
            "First administrator: {} with the password {password} (shown only now)",
            first.username
        );
    }
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn print_openapi() -> anyhow::Result<()> {
    println!("{}", http::openapi().to_pretty_json()?);
    Ok(())
}
