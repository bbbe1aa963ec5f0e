//! Stops the server on signals, in bounded time.

use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use super::listen::STOP_WITHIN_S;
use super::servers::ServerHandles;
use crate::services::Context;
use crate::supervision::Exit;
use crate::telemetry;

/// Time limit for all work after requests in flight: the last snapshot, device records, deliveries and the broker.
const FINISH_WITHIN: Duration = Duration::from_secs(45);

/// Stops the server on SIGINT immediately, and on SIGTERM after a drain in which readiness reports `draining`.
pub(super) struct SignalHandler {
    servers: ServerHandles,
    context: Arc<Context>,
    drain: Duration,
    /// Registered at creation, so that signals before the first run are not lost.
    interrupt: Signal,
    terminate: Signal,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Draining,
    Stopping,
}

impl SignalHandler {
    pub(super) fn new(
        servers: ServerHandles,
        context: Arc<Context>,
        drain: Duration,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            servers,
            context,
            drain,
            interrupt: signal(SignalKind::interrupt()).context("cannot receive signals")?,
            terminate: signal(SignalKind::terminate()).context("cannot receive signals")?,
            stage: Stage::Running,
        })
    }

    /// Runs until the server has stopped. After a failure, the next run continues at the same stage.
    pub(super) async fn run(&mut self) -> Exit {
        if self.stage == Stage::Running {
            self.stage = self.receive().await;
            end_process_within(self.drain + Duration::from_secs(STOP_WITHIN_S) + FINISH_WITHIN);
        }
        if self.stage == Stage::Draining {
            tracing::info!(drain_s = self.drain.as_secs(), "draining; the server will stop");
            self.context.node().begin_drain();
        }
        // Devices reconnect to other nodes.
        self.context.push_delivery().end_streams();
        if self.stage == Stage::Draining {
            // A second signal ends the drain.
            let _ = timeout(self.drain, self.receive()).await;
            self.stage = Stage::Stopping;
        }
        self.servers.stop().await;
        Exit::Finished
    }

    async fn receive(&mut self) -> Stage {
        tokio::select! {
            _ = self.interrupt.recv() => Stage::Stopping,
            _ = self.terminate.recv() => Stage::Draining,
        }
    }
}

/// Ends the process if it has not stopped within `limit`: a task or a disk may hang.
fn end_process_within(limit: Duration) {
    let watchdog = thread::Builder::new().name("stop-watchdog".to_owned());
    let started = watchdog.spawn(move || {
        thread::sleep(limit);
        tracing::error!(
            limit_s = limit.as_secs(),
            "the server did not stop in time; the process ends"
        );
        telemetry::flush_log();
        process::exit(1);
    });
    if let Err(error) = started {
        tracing::error!(%error, "cannot start the stop watchdog; the time to stop is unbounded");
    }
}
