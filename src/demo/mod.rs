//! `slipway demo`: a server on a throw-away database with a lifelike catalog, and lines to paste.

mod catalog;
mod client;
mod lines;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::app::{self, Start};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::secrets::new_password;
use crate::storage::Durability;
use crate::telemetry;

/// Runs until it is interrupted; the data goes with it.
pub async fn run(mut config: Config) -> anyhow::Result<()> {
    let directory = tempfile::Builder::new().prefix("slipway-demo-").tempdir()?;
    config.data_dir = directory.path().to_owned();
    config.database_url = None;
    config.secret_key = None;
    if TcpListener::bind(config.listen).is_err() {
        // Somebody else has the usual port; a demo may take any.
        config.listen.set_port(0);
    }
    let password = config
        .admin_password
        .get_or_insert_with(|| default_password(config.listen))
        .clone();
    let start = Start {
        clock: Arc::new(SystemClock),
        durability: Durability::Relaxed,
        heed_signals: true,
        // Its password is given.
        announce: |_| {},
    };
    let running = app::start(&config, start).await?;
    let url = format!("http://{}", running.address);
    let program = std::env::current_exe()?;
    let made = catalog::fill(&url, &config.admin_username, &password).await?;
    let what_to_try = lines::what_to_try(&url, &config.admin_username, &password, &made, &program);
    // The server runs without it too.
    let _ = telemetry::print_line(&what_to_try);
    running.wait().await
}

/// The same each time at this machine alone; where others can reach the demo, everybody knows that one.
fn default_password(listen: SocketAddr) -> String {
    if listen.ip().to_canonical().is_loopback() {
        "slipway-demo".to_owned()
    } else {
        new_password()
    }
}
