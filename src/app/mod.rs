//! The composition root: builds a running server from settings.

mod database;
mod listen;
mod parts;
mod servers;
mod settings;
mod stop;
mod tasks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinHandle;

use self::parts::{artifacts, authentication, device_admission, workload};
use self::servers::{RunningServers, Servers};
use self::settings::{
    administrator_name, broker_settings, catalog_sync_settings, check_intervals, delivery_settings,
    device_records,
};
use self::stop::SignalHandler;
use self::tasks::{CatalogTask, ServerTasks, spawn_writer};
use crate::clock::Clock;
use crate::config::Config;
use crate::data_directory::{self, NodeName};
use crate::hints::{HintBus, RunningHints};
use crate::live::snapshot::{Origin, SnapshotDirectory, SnapshotWriter};
use crate::live::{CatalogSync, CatalogSyncParts, Revocations, RevokedTokenSync};
use crate::random;
use crate::secrets::Keyring;
use crate::services::installation::{DatabaseOpener, FirstAdministrator, OpenError};
use crate::services::key_uses::KeyUses;
use crate::services::push_channels::{MqttTasks, RunningMqtt};
use crate::services::push_delivery::{PushDelivery, PushDeliveryParts, RunningDelivery};
use crate::services::{Context, ContextParts, NewDevices, NodeState, installation};
use crate::storage::{Db, Durability, Gate, sqlite_path};
use crate::telemetry;

/// Time limit for connections in use to return to the pool at a stop.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// Options of a server start that are not settings.
pub struct StartOptions {
    pub clock: Arc<dyn Clock>,
    pub durability: Durability,
    /// Stop on SIGINT and SIGTERM.
    pub handle_signals: bool,
    /// Called after the first administrator was created, once the database answers.
    pub announce: fn(&FirstAdministrator),
}

/// A server that answers requests.
pub struct Running {
    pub address: SocketAddr,
    /// Address of metrics and documentation, if separate.
    pub operations_address: Option<SocketAddr>,
    pub context: Arc<Context>,
    servers: RunningServers,
    tasks: Vec<JoinHandle<()>>,
    device_records: Option<JoinHandle<()>>,
    key_uses: JoinHandle<()>,
    delivery: RunningDelivery,
    /// `None` if hints between nodes are disabled.
    hints: Option<RunningHints>,
    /// `None` without a broker.
    mqtt: Option<RunningMqtt>,
    /// `None` if snapshots are disabled.
    snapshots: Option<Arc<SnapshotWriter>>,
    /// `None` without a broker.
    _node_name: Option<NodeName>,
}

impl Running {
    /// Waits until the server has stopped.
    pub async fn wait(self) -> anyhow::Result<()> {
        let stopped = self.servers.wait().await;
        if let Some(snapshots) = &self.snapshots {
            snapshots.finish().await;
        }
        for task in &self.tasks {
            task.abort();
        }
        // No further calls can arrive, so the queues hold all remaining records.
        let device_records = async {
            if let Some(writer) = self.device_records {
                self.context.device_records().finish(writer).await;
            }
        };
        let key_uses = &self.context.authentication().key_uses;
        tokio::join!(device_records, key_uses.finish(self.key_uses));
        if let Some(mqtt) = self.mqtt {
            mqtt.finish().await;
        }
        self.delivery.finish(self.context.push_delivery()).await;
        // The last deliveries and acknowledgements also send hints.
        if let Some(hints) = self.hints {
            hints.finish().await;
        }
        let closed = tokio::time::timeout(CLOSE_WITHIN, self.context.db().clone().close());
        if let Ok(Err(error)) = closed.await {
            tracing::warn!(%error, "the database was not closed cleanly");
        }
        stopped
    }

    /// Finishes requests in flight, and stops.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.context.push_delivery().end_streams();
        self.servers.handles().stop().await;
        self.wait().await
    }
}

/// Opens the database, loads the catalog and starts answering. If PostgreSQL is unavailable, the server starts from the
/// newest snapshot and opens the database later.
pub async fn start(config: &Config, options: StartOptions) -> anyhow::Result<Running> {
    // The recorder must exist before any counter is created.
    let metrics = telemetry::metrics_recorder()?;
    data_directory::create(&config.data_dir)?;
    let artifacts = artifacts(config)?;
    let db = database::open(config, options.durability).await?;
    let is_sealed = !config.uses_postgres() && installation::is_sealed(&db).await?;
    let keyring = Arc::new(data_directory::keyring(config, !is_sealed)?);
    let ((gated, gate), following, pollers) = own_connections(&db).await?;

    let (hints, hint_exchange) = HintBus::new(pollers.clone(), config.hints);
    let (revocations, revoked) = Revocations::new();
    let (mut catalog_sync, live) = CatalogSync::new(
        CatalogSyncParts {
            db: following.clone(),
            pool: db,
            clock: options.clock.clone(),
            keyring: keyring.clone(),
            hints: hints.clone(),
            revocations: revocations.clone(),
        },
        catalog_sync_settings(config, artifacts.settings.download_urls.clone()),
    );
    let opener = opener(config, &options, following, gate, keyring.clone())?;
    let directory = SnapshotDirectory::new(config.data_dir.join("snapshots"));
    let (is_open, origin) = begin(config, &opener, &mut catalog_sync, &directory).await?;
    let snapshots = SnapshotWriter::new(
        live.clone(),
        keyring.clone(),
        options.clock.clone(),
        directory,
        origin,
    );
    let snapshots = config.snapshot_interval().map(|_| Arc::new(snapshots));

    let (mut device_tokens, revoked_tokens) =
        RevokedTokenSync::new(pollers.clone(), options.clock.clone(), revocations);
    if is_open && let Err(error) = device_tokens.load().await {
        tracing::warn!(%error, "revoked device tokens are not loaded yet");
    }
    let (key_uses, key_use_writer) = KeyUses::new(gated.clone());
    let new_devices = Arc::new(NewDevices::new(config.device_records.new_devices_per_day));
    let (device_records, writer, device_changes) =
        device_records(&config.device_records, &gated, new_devices.clone());
    let node = random::uuid();
    let (broker, node_name) = broker_settings(&config.mqtt, &config.data_dir)?.unzip();
    let mqtt = broker.map(MqttTasks::new).transpose()?;
    let (push_delivery, delivery) = PushDelivery::new(
        PushDeliveryParts {
            db: gated.clone(),
            pollers,
            clock: options.clock.clone(),
            node,
            hints,
            revoked,
            broker: mqtt.as_ref().map(MqttTasks::broker),
        },
        delivery_settings(config),
    );
    let context = Arc::new(Context::new(ContextParts {
        artifacts,
        authentication: authentication(config, &keyring, key_uses),
        device_admission: device_admission(config, revoked_tokens, new_devices),
        device_records: Arc::new(device_records),
        check_intervals: check_intervals(config),
        workload: workload(config),
        db: gated,
        clock: options.clock,
        keyring,
        catalog: live,
        push_delivery,
        node: NodeState::new(node),
    }));
    let servers = Servers::bind(config, &context, &metrics)?;
    let drain = Duration::from_secs(config.drain_s.into());
    let stop = || SignalHandler::new(servers.handles(), context.clone(), drain);
    let server_tasks = ServerTasks {
        catalog: CatalogTask {
            opener: (!is_open).then_some(opener),
            sync: catalog_sync,
        },
        device_tokens,
        device_changes,
        metrics,
        snapshots: snapshots.clone().zip(config.snapshot_interval()),
        stop: options.handle_signals.then(stop).transpose()?,
    };
    let tasks = &context.node().tasks;
    Ok(Running {
        address: servers.address,
        operations_address: servers.operations_address,
        servers: servers.start(),
        tasks: server_tasks.spawn(tasks, &context),
        device_records: writer.map(|writer| spawn_writer(tasks, writer)),
        key_uses: spawn_writer(tasks, key_use_writer),
        delivery: delivery.start(tasks),
        hints: hint_exchange.map(|exchange| exchange.spawn(tasks)),
        mqtt: mqtt.map(|mqtt| mqtt.start(&context)),
        snapshots,
        context: context.clone(),
        _node_name: node_name,
    })
}

fn opener(
    config: &Config,
    options: &StartOptions,
    db: Db,
    gate: Arc<Gate>,
    keyring: Arc<Keyring>,
) -> anyhow::Result<DatabaseOpener> {
    Ok(DatabaseOpener {
        db,
        gate,
        keyring,
        clock: options.clock.clone(),
        username: administrator_name(config)?,
        password: config.admin_password.clone(),
        announce: options.announce,
    })
}

/// Returns the gated pool, the catalog sync's connection and the connection of the other pollers. The last two are
/// reserved first: an acknowledged recall must be served even if the pool is busy.
async fn own_connections(db: &Db) -> anyhow::Result<((Db, Arc<Gate>), Db, Db)> {
    let (gated, gate) = db.with_closed_gate().await?;
    let following = db.open_dedicated().await?;
    let pollers = db.open_dedicated().await?.with_gate(&gate);
    Ok(((gated, gate), following, pollers))
}

/// Opens the database and loads the catalog. Returns `false` if PostgreSQL is unavailable; the node then starts from
/// the newest snapshot, or with an empty catalog.
async fn begin(
    config: &Config,
    opener: &DatabaseOpener,
    sync: &mut CatalogSync,
    snapshots: &SnapshotDirectory,
) -> anyhow::Result<(bool, Origin)> {
    let may_begin_without = config.uses_postgres();
    match open_and_load(config, opener, sync).await {
        Ok(()) => Ok((true, Origin::DATABASE)),
        Err(error) if may_begin_without && error.is_unavailability() => {
            let why = format!("{:#}", anyhow::Error::new(error));
            Ok((false, sync.start_from_snapshot(snapshots, &why)))
        }
        Err(error) => Err(error.into()),
    }
}

async fn open_and_load(
    config: &Config,
    opener: &DatabaseOpener,
    sync: &mut CatalogSync,
) -> Result<(), OpenError> {
    let installation = opener.open().await?;
    if let Some(file) = opener.db.sqlite_file() {
        // A server that cannot write this file may still serve: the file only distinguishes a lost database from a new
        // directory.
        if let Err(error) = data_directory::note_installation(&config.data_dir, file, installation) {
            tracing::warn!(%error, "cannot write the installation id to the data directory");
        }
    }
    sync.set_installation(installation);
    sync.load().await.map_err(OpenError::Catalog)
}

/// Opens the configured database and migrates its schema.
pub async fn open_database(config: &Config, durability: Durability) -> anyhow::Result<Db> {
    let db = database::open(config, durability).await?;
    db.migrate()
        .await
        .context("the database's schema cannot be brought up to date")?;
    Ok(db)
}

/// Opens the database of an existing installation: a command must not create one in the wrong directory.
pub async fn open_existing_database(config: &Config, durability: Durability) -> anyhow::Result<Db> {
    if let Some(path) = sqlite_path(&config.database_url_or_embedded())?
        && !path.exists()
    {
        anyhow::bail!(
            "there is no database at {}; set SLIPWAY_DATA_DIR or SLIPWAY_DATABASE_URL as for `slipway serve`, \
             which creates the database at its first start",
            path.display()
        );
    }
    open_database(config, durability).await
}
