//! The `slipway` program: parses arguments, starts logging and calls the library.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use slipway::app::{self, StartOptions};
use slipway::clock::{Clock as _, SystemClock};
use slipway::config::Config;
use slipway::maintenance::admin::{self, AdminCommand};
use slipway::maintenance::rekey::{self, RekeyCommand};
use slipway::maintenance::restore_finish::{self, RestoreFinishCommand};
use slipway::services::installation::FirstAdministrator;
use slipway::storage::Durability;
use slipway::{data_directory, demo, http, telemetry};
use slipway_client::device::{self, DeviceCommand};
use slipway_client::inspect::{self, InspectCommand};
use slipway_client::publish::{self, PublishCommand};
use slipway_client::push::{self, PushCommand};
use slipway_client::top_call::{self, TopCall};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Release management for fleets of devices.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Log filter: a level (error, warn, info, debug, trace) or directives such as `info,slipway=debug`. If absent,
    /// error for `demo`, warn for `admin`, `rekey`, `restore-finish` and the client commands, and info for the others.
    #[arg(long, env = "SLIPWAY_LOG", global = true)]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a server.
    Serve(Box<Config>),
    /// Run a server on a temporary database with a sample catalog, and print commands to try.
    Demo(Box<Config>),
    /// Migrate the database schema to the current version. `serve` does this too.
    Migrate(Box<Config>),
    /// Manage platform administrators directly in the database. Servers may run meanwhile.
    Admin {
        #[command(subcommand)]
        command: AdminCommand,
    },
    /// Re-encrypt stored secrets with the first secret key, and list what still needs another key.
    Rekey(Box<RekeyCommand>),
    /// Finish a restore from a backup: end sessions, one-time codes and device tokens, and list the credentials that
    /// the restored database accepts.
    RestoreFinish(Box<RestoreFinishCommand>),
    /// Print the OpenAPI description of the API.
    Openapi,
    /// Sign and send a gateway call, and print the request, the signed text and the response.
    TopCall(Box<TopCall>),
    /// Upload files, create their releases and publish them. Exit codes: 0 done, 1 refused, 2 invalid arguments, 3 the
    /// server cannot be reached.
    Publish(Box<PublishCommand>),
    /// Push a package to devices, and follow its progress.
    Push(Box<PushCommand>),
    /// Simulate a device: enrol, check, receive and acknowledge pushes.
    Device(Box<DeviceCommand>),
    /// Print what a package file (APK, HAP, ZIP) states about itself.
    Inspect(Box<InspectCommand>),
}

/// Time limit for work on blocking threads after everything else has ended.
const END_WITHIN: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    data_directory::keep_files_private();
    let arguments = Arguments::parse();
    let done = Runtime::new().map_err(anyhow::Error::new).and_then(|runtime| {
        let done = runtime.block_on(run(arguments));
        runtime.shutdown_timeout(END_WITHIN);
        done
    });
    match done {
        Ok(code) => {
            telemetry::flush_log();
            code
        }
        Err(error) => {
            telemetry::print_error(&format!("slipway: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let usual = match arguments.command {
        Command::Admin { .. }
        | Command::Rekey(_)
        | Command::RestoreFinish(_)
        | Command::TopCall(_)
        | Command::Publish(_)
        | Command::Push(_)
        | Command::Device(_)
        | Command::Inspect(_) => "warn",
        // A throw-away installation needs no warning that it is new.
        Command::Demo(_) => "error",
        _ => "info",
    };
    telemetry::start_logging(arguments.log.as_deref().unwrap_or(usual))?;
    let done = match arguments.command {
        Command::Serve(config) => serve(&config).await,
        Command::Demo(config) => demo::run(*config).await,
        Command::Migrate(config) => {
            data_directory::create(&config.data_dir)?;
            app::open_database(&config, Durability::Full).await.map(drop)
        }
        Command::Admin { command } => admin::run(command, &SystemClock, &mut std::io::stdout()).await,
        Command::Rekey(command) => rekey::run(&command, &SystemClock, &mut std::io::stdout()).await,
        Command::RestoreFinish(command) => {
            restore_finish::run(&command, &SystemClock, &mut std::io::stdout()).await
        }
        Command::Openapi => print_openapi(),
        Command::TopCall(call) => return top_call::run(&call, SystemClock.now()).await,
        Command::Publish(publish) => return publish::run(&publish).await,
        Command::Push(push) => return push::run(&push).await,
        Command::Device(device) => return device::run(&device).await,
        Command::Inspect(inspect) => return inspect::run(&inspect),
    };
    done.map(|()| ExitCode::SUCCESS)
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    let options = StartOptions {
        clock: Arc::new(SystemClock),
        durability: Durability::Full,
        handle_signals: true,
        announce,
    };
    let running = app::start(config, options).await?;
    if let Some(address) = running.operations_address {
        tracing::info!(%address, "listening for operators");
    }
    tracing::info!(address = %running.address, "listening");
    running.wait().await
}

/// Prints a generated password once. It is never logged.
fn announce(first: &FirstAdministrator) {
    let Some(password) = &first.password else {
        return;
    };
    let printed = telemetry::print_line(&format!(
        "First administrator: {} with the password {password} (shown only now)",
        first.username
    ));
    if let Err(error) = printed {
        tracing::error!(
            %error,
            username = %first.username,
            "the first administrator's password could not be printed and is lost; reset it"
        );
    }
}

fn print_openapi() -> anyhow::Result<()> {
    Ok(writeln!(io::stdout().lock(), "{:#}", http::openapi())?)
}
