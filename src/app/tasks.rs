//! The background tasks of a server.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinHandle;

use super::stop::SignalHandler;
use crate::live::snapshot::SnapshotWriter;
use crate::live::{CatalogSync, RevokedTokenSync};
use crate::services::artifacts::jobs::{self, ArtifactJobs};
use crate::services::batch_writer::{BatchSink, BatchWriter};
use crate::services::device_records::DeviceChangeReader;
use crate::services::installation::DatabaseOpener;
use crate::services::{Context, housekeeping, write_probe_task};
use crate::supervision::Importance::{Auxiliary, Essential};
use crate::supervision::Tasks;
use crate::telemetry;

/// State of the tasks that run until the server has stopped.
pub(super) struct ServerTasks {
    pub(super) catalog: CatalogTask,
    pub(super) device_tokens: RevokedTokenSync,
    pub(super) device_changes: DeviceChangeReader,
    pub(super) metrics: PrometheusHandle,
    /// `None` if snapshots are disabled.
    pub(super) snapshots: Option<(Arc<SnapshotWriter>, Duration)>,
    /// `None` if signals are not handled.
    pub(super) stop: Option<SignalHandler>,
}

/// Opens the database if necessary, and then keeps the catalog in sync with it.
pub(super) struct CatalogTask {
    /// `None` once the database is open: an opener holds the first connection, which the sync may replace.
    pub(super) opener: Option<DatabaseOpener>,
    pub(super) sync: CatalogSync,
}

impl ServerTasks {
    pub(super) fn spawn(self, tasks: &Tasks, context: &Arc<Context>) -> Vec<JoinHandle<()>> {
        let mut running = vec![
            tasks.supervise(CatalogSync::NAME, Essential, self.catalog, |catalog| {
                catalog.run().boxed()
            }),
            tasks.supervise(RevokedTokenSync::NAME, Essential, self.device_tokens, |sync| {
                sync.run().boxed()
            }),
            tasks.supervise(housekeeping::NAME, Auxiliary, context.clone(), |context| {
                housekeeping::run(context).boxed()
            }),
            tasks.supervise(
                jobs::NAME,
                Auxiliary,
                (context.clone(), ArtifactJobs::default()),
                |(context, jobs)| jobs.run(context).boxed(),
            ),
            tasks.supervise(jobs::WATCH_NAME, Auxiliary, context.clone(), |context| {
                jobs::watch(context).boxed()
            }),
            tasks.supervise(
                DeviceChangeReader::NAME,
                Auxiliary,
                self.device_changes,
                |changes| changes.run().boxed(),
            ),
            tasks.supervise("write_health", Auxiliary, context.clone(), |context| {
                write_probe_task::run(context).boxed()
            }),
            tasks.supervise("metrics_upkeep", Auxiliary, self.metrics, |metrics| {
                telemetry::tend_metrics(metrics).boxed()
            }),
        ];
        if context.db().has_failover() {
            running.push(
                tasks.supervise("server_watch", Auxiliary, context.clone(), |context| {
                    context.db().monitor_server().boxed()
                }),
            );
        }
        if let Some(snapshots) = self.snapshots {
            running.push(
                tasks.supervise("snapshot_journal", Auxiliary, snapshots.0.clone(), |writer| {
                    writer.run_journal().boxed()
                }),
            );
            running.push(
                tasks.supervise("snapshot_writer", Auxiliary, snapshots, |(writer, every)| {
                    writer.run(*every).boxed()
                }),
            );
        }
        if let Some(stop) = self.stop {
            running.push(tasks.supervise("signal_handler", Auxiliary, stop, |stop| stop.run().boxed()));
        }
        running
    }
}

/// Spawns a writer, which runs until its queue is finished.
pub(super) fn spawn_writer<S: BatchSink>(tasks: &Tasks, writer: BatchWriter<S>) -> JoinHandle<()> {
    tasks.supervise(S::NAME, Auxiliary, writer, |writer| writer.run().boxed())
}

impl CatalogTask {
    async fn run(&mut self) {
        if let Some(opener) = &self.opener {
            self.sync.set_installation(opener.open_with_retry().await);
            self.opener = None;
        }
        self.sync.run().await;
    }
}
