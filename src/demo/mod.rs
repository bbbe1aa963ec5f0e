//! `slipway demo`: a server on a temporary database with a realistic catalog, and commands to paste.

mod catalog;
mod client;
mod lines;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

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
    config.secret_key = None;
    if TcpListener::bind(config.listen).is_err() {
        // The default port is in use; the demo may use any port.
        config.listen.set_port(0);
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
    let instructions =
        lines::format_instructions(&url, &config.admin_username, &password, &credentials, &program);
    // The server is useful even if this fails.
    let _ = telemetry::print_line(&instructions);
    running.wait().await
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
