//! The composition root: settings in, a running server out.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use actix_web::HttpServer;
use actix_web::dev::{Server, ServerHandle};
use anyhow::{Context as _, bail};
use chrono::TimeDelta;
use tokio::task::JoinHandle;

use crate::catalog::text::Username;
use crate::clock::Clock;
use crate::config::Config;
use crate::http::{self, Parts, TrustedProxies};
use crate::live::{Follower, FollowerSettings};
use crate::secrets::{AccessTokens, Keyring, parse_password};
use crate::services::checks::CheckCounts;
use crate::services::installation::{FirstAdministrator, check_keyring, ensure_administrator};
use crate::services::{CallLimits, Context, LoginAttempts, Settings, housekeeping};
use crate::storage::{Db, Durability, connect};
use crate::telemetry;

const ACCESS_TOKEN_LIFETIME: TimeDelta = TimeDelta::minutes(15);
/// How long requests in flight may take when the server stops, in seconds.
const STOP_WITHIN_S: u64 = 30;

/// How a server is started, beside its settings.
pub struct Start {
    pub clock: Arc<dyn Clock>,
    pub durability: Durability,
    /// Stop on SIGINT and SIGTERM.
    pub heed_signals: bool,
}

/// A server that answers requests.
pub struct Running {
    pub address: SocketAddr,
    /// Made at this start, if there was nobody yet.
    pub first_administrator: Option<FirstAdministrator>,
    pub context: Arc<Context>,
    handle: ServerHandle,
    server: JoinHandle<std::io::Result<()>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    /// Waits until the server has stopped.
    pub async fn wait(self) -> anyhow::Result<()> {
        let stopped = self.server.await;
        for task in &self.tasks {
            task.abort();
        }
        Ok(stopped??)
    }

    /// Lets requests in flight finish, and stops.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.handle.stop(true).await;
        self.wait().await
    }
}

/// Migrates, loads the catalog and starts answering.
pub async fn start(config: &Config, start: Start) -> anyhow::Result<Running> {
    // Before anything asks for a counter.
    let metrics = telemetry::metrics_recorder()?;
    make_data_directory(&config.data_dir)?;
    let keyring = Arc::new(keyring(config)?);
    let db = open_database(config, start.durability).await?;
    check_keyring(&db, &keyring).await?;

    let settings = FollowerSettings {
        poll_interval: config.poll_interval(),
        stale_after: TimeDelta::seconds(i64::from(config.stale_after_s)),
        hints: config.hints,
    };
    let (mut follower, live) = Follower::new(db.clone(), start.clock.clone(), keyring.clone(), settings);
    let context = Arc::new(Context {
        db,
        live,
        clock: start.clock,
        access_tokens: AccessTokens::new(&keyring, ACCESS_TOKEN_LIFETIME),
        keyring,
        login_attempts: LoginAttempts::new(
            config.login_attempts_per_account,
            config.login_attempts_per_source,
        ),
        call_limits: CallLimits::new(config.gateway_calls_per_minute),
        check_counts: CheckCounts::new(),
        settings: Settings {
            next_check_s: config.next_check_s,
            next_check_after_offer_s: config.next_check_after_offer_s,
        },
    });
    let first_administrator = first_administrator(config, &context).await?;
    follower.load().await.context("the catalog cannot be loaded")?;

    let (address, server) = bind(config, start.heed_signals, &context, metrics.clone())?;
    Ok(Running {
        address,
        first_administrator,
        handle: server.handle(),
        server: tokio::spawn(server),
        tasks: vec![
            tokio::spawn(follower.run()),
            tokio::spawn(housekeeping::run(context.clone())),
            tokio::spawn(telemetry::tend_metrics(metrics)),
        ],
        context,
    })
}

/// Makes the directory for its owner alone, if it is absent: it holds the secret key.
pub fn make_data_directory(path: &Path) -> anyhow::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .with_context(|| format!("the data directory {} cannot be made", path.display()))
}

/// Opens the database that the settings name, and brings its schema up to date.
pub async fn open_database(config: &Config, durability: Durability) -> anyhow::Result<Db> {
    let db = connect(&config.database_url_or_embedded(), durability)
        .await
        .context("the database cannot be opened")?;
    db.migrate()
        .await
        .context("the database's schema cannot be brought up to date")?;
    Ok(db)
}

fn bind(
    config: &Config,
    heed_signals: bool,
    context: &Arc<Context>,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
) -> anyhow::Result<(SocketAddr, Server)> {
    let listener = TcpListener::bind(config.listen)
        .with_context(|| format!("{} cannot be listened on; set SLIPWAY_LISTEN", config.listen))?;
    let address = listener.local_addr()?;
    let parts = Parts {
        context: context.clone(),
        trusted_proxies: TrustedProxies::new(&config.trusted_proxies),
        metrics,
        public_url: config.public_url.clone(),
    };
    let mut server = HttpServer::new(move || http::server(&parts)).shutdown_timeout(STOP_WITHIN_S);
    if let Some(workers) = config.workers {
        server = server.workers(workers);
    }
    if !heed_signals {
        server = server.disable_signals();
    }
    Ok((address, server.listen(listener)?.run()))
}

async fn first_administrator(
    config: &Config,
    context: &Context,
) -> anyhow::Result<Option<FirstAdministrator>> {
    let username = Username::parse(config.admin_username.to_lowercase())
        .map_err(|why| anyhow::anyhow!("SLIPWAY_ADMIN_USERNAME {why}"))?;
    if let Some(password) = &config.admin_password {
        parse_password(password).map_err(|why| anyhow::anyhow!("SLIPWAY_ADMIN_PASSWORD {why}"))?;
    }
    ensure_administrator(context, username, config.admin_password.clone())
        .await
        .context("the first administrator cannot be made")
}

/// The keys that were given, else the one kept in the data directory, which is made at the first start.
fn keyring(config: &Config) -> anyhow::Result<Keyring> {
    if let Some(keys) = &config.secret_key {
        return Ok(Keyring::parse(keys)?);
    }
    if config.uses_postgres() {
        bail!(
            "SLIPWAY_SECRET_KEY is required with PostgreSQL, where all nodes must share it; make one with \
             `openssl rand -base64 32`"
        );
    }
    let path = config.data_dir.join("secret.key");
    let kept = || fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()));
    let text = match write_new_key(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => kept()?,
        Err(error) => return Err(error).with_context(|| format!("{} cannot be written", path.display())),
    };
    Keyring::parse(text.trim()).with_context(|| format!("{} holds no usable key", path.display()))
}

/// Writes a key that only the owner can read; fails if there is one.
fn write_new_key(path: &Path) -> std::io::Result<String> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let text = Keyring::generate_text().map_err(std::io::Error::other)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(text)
}
