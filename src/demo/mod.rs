//! `slipway demo`: a server on a temporary database with a realistic catalog, and commands to paste.

mod catalog;
mod client;
mod lines;
pub mod packages;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use self::lines::Instructions;
use crate::app::{self, StartOptions};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::secrets::new_password;
use crate::storage::Durability;
use crate::telemetry;

/// Runs until interrupted, and then deletes the data.
pub async fn run(mut config: Config) -> anyhow::Result<()> {
    let directory = tempfile::Builder::new().prefix("slipway-demo-").tempdir()?;
    config.data_dir = directory.path().to_owned();
    config.database_url = None;
    config.artifacts.url = None;
    config.artifacts.download_url = None;
    config.secret_key = None;
    config.listen = free_address(config.listen)?;
    if config.public_url.is_none() {
        config.public_url = Some(format!("http://{}", config.listen));
    }
    let password = config
        .admin_password
        .get_or_insert_with(|| default_password(config.listen))
        .clone();
    let options = StartOptions {
        clock: Arc::new(SystemClock),
        durability: Durability::Relaxed,
        handle_signals: true,
        // The password is given, so there is nothing to announce.
        announce: |_| {},
    };
    let running = app::start(&config, options).await?;
    let url = format!("http://{}", running.address);
    let program = std::env::current_exe()?;
    let credentials = catalog::fill(&url, &config.admin_username, &password).await?;
    let package = directory.path().join(packages::NEW_RELEASE.filename());
    std::fs::write(&package, packages::NEW_RELEASE.bytes)?;
    let instructions = lines::format_instructions(&Instructions {
        url: &url,
        username: &config.admin_username,
        password: &password,
        credentials: &credentials,
        program: &program,
        package: &package,
    });
    // The server is useful even if this fails.
    let _ = telemetry::print_line(&instructions);
    running.wait().await
}

/// Returns the address with a port that is free: its own or, if that is 0 or in use, any. Downloads have it in their
/// addresses before the server listens.
fn free_address(listen: SocketAddr) -> std::io::Result<SocketAddr> {
    let bound = TcpListener::bind(listen).or_else(|_| TcpListener::bind((listen.ip(), 0)))?;
    bound.local_addr()
}

/// Returns a fixed password for a loopback address. Otherwise generates one: a fixed password would be public where
/// others can reach the demo.
fn default_password(listen: SocketAddr) -> String {
    if listen.ip().to_canonical().is_loopback() {
        "slipway-demo".to_owned()
    } else {
        new_password()
    }
}
