//! Selection of the current PostgreSQL server among several, and failover to another one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{self, ConnectOptions, Executor, PgPool, Row};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::postgres;
use super::postgres_url::{ServerList, TargetSessionAttrs};
use crate::timer;

tokio::task_local! {
    /// Set while a connection is acquired that needs no check if it was idle for at most this time.
    static UNCHECKED_IDLE_TIME: Duration;
}

/// Acquires a connection without a check of its own if it was idle for at most `idle_time`, for a caller whose first
/// statement is harmless and repeatable.
///
/// With several servers the check is not left out, because it also finds a server that has become unsuitable.
pub(super) async fn without_check<T>(idle_time: Duration, acquire: impl Future<Output = T>) -> T {
    UNCHECKED_IDLE_TIME.scope(idle_time, acquire).await
}

/// Interval between checks that the current server is still suitable.
const MONITOR_INTERVAL: Duration = Duration::from_secs(1);
/// Time limit for a server to accept a connection or to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Checks in one round trip that a connection is outside a transaction, that it may write, and that its server is a
/// primary.
const STATE: &str = "SELECT transaction_timestamp() = statement_timestamp(), \
     current_setting('transaction_read_only') = 'off', NOT pg_is_in_recovery()";

/// PostgreSQL servers of an installation, and the current one.
#[derive(Debug)]
pub(super) struct Hosts {
    servers: ServerList,
    current: Mutex<CurrentServer>,
    /// Number of selections. A pool compares it to detect a new current server.
    generation: AtomicU64,
    /// Notified when a connection finds that its server is unsuitable.
    mismatch: Notify,
}

#[derive(Debug, Clone, Copy)]
struct CurrentServer {
    index: usize,
    selected_at: Instant,
}

impl Hosts {
    /// Selects a server, unless none responds: a start does not wait for them.
    pub(super) async fn new(mut servers: ServerList) -> Arc<Self> {
        servers.options = servers
            .options
            .into_iter()
            .map(postgres::connect_options)
            .collect();
        let hosts = Arc::new(Self {
            servers,
            current: Mutex::new(CurrentServer {
                index: 0,
                selected_at: timer::now(),
            }),
            generation: AtomicU64::new(1),
            mismatch: Notify::new(),
        });
        if hosts.has_failover() {
            let _ = timeout(ANSWER_TIMEOUT, hosts.select_server()).await;
        }
        hosts
    }

    /// Returns `true` if another server may have to replace the current one.
    pub(super) fn has_failover(&self) -> bool {
        self.servers.options.len() > 1 || self.servers.target_session_attrs != TargetSessionAttrs::Any
    }

    fn current(&self) -> CurrentServer {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection options of the current server.
    pub(super) fn connect_options(&self) -> PgConnectOptions {
        self.servers.options[self.current().index].clone()
    }

    /// Connects a pool to the current server. `applied_generation` is the generation that it uses.
    pub(super) fn apply_to_pool(&self, pool: &PgPool, applied_generation: &AtomicU64) {
        let generation = self.generation.load(Ordering::Acquire);
        if applied_generation.swap(generation, Ordering::AcqRel) != generation {
            pool.set_connect_options(self.connect_options());
        }
    }

    /// Returns `true` if a pooled connection of this age is usable: outside a transaction, and on the current and
    /// suitable server.
    pub(super) async fn is_usable(
        &self,
        connection: &mut PgConnection,
        age: Duration,
        idle_for: Duration,
    ) -> Result<bool, sqlx::Error> {
        if age > self.current().selected_at.elapsed() && self.generation.load(Ordering::Acquire) > 1 {
            return Ok(false);
        }
        let is_trusted = UNCHECKED_IDLE_TIME.try_with(|unchecked| idle_for <= *unchecked);
        if !self.has_failover() && is_trusted == Ok(true) {
            return Ok(true);
        }
        let (is_outside, is_suitable) = self.state(connection).await?;
        if !is_suitable {
            self.mismatch.notify_one();
        }
        Ok(is_outside && is_suitable)
    }

    /// Refuses a new connection to an unsuitable server.
    pub(super) async fn require_suitable(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.has_failover() || self.state(connection).await?.1 {
            return Ok(());
        }
        self.mismatch.notify_one();
        Err(sqlx::Error::Configuration(
            "this server of the database URL does not match target_session_attrs".into(),
        ))
    }

    /// Returns two flags: the connection is outside a transaction, and its server is suitable.
    async fn state(&self, connection: &mut PgConnection) -> Result<(bool, bool), sqlx::Error> {
        let row = connection.fetch_one(STATE).await?;
        let is_suitable = match self.servers.target_session_attrs {
            TargetSessionAttrs::Any => true,
            TargetSessionAttrs::ReadWrite => row.try_get(1)?,
            TargetSessionAttrs::Primary => row.try_get(2)?,
        };
        Ok((row.try_get(0)?, is_suitable))
    }

    /// Tries the servers in order, selects the first suitable one and returns a connection to it.
    ///
    /// The current server is unchanged if no server is suitable.
    async fn select_server(&self) -> Option<PgConnection> {
        for (index, options) in self.servers.options.iter().enumerate() {
            if let Some(connection) = self.try_server(options).await {
                self.set_current(index);
                return Some(connection);
            }
        }
        None
    }

    async fn try_server(&self, options: &PgConnectOptions) -> Option<PgConnection> {
        let connection = async {
            let mut connection = options.connect().await.ok()?;
            postgres::prepare(&mut connection).await.ok()?;
            let (_, is_suitable) = self.state(&mut connection).await.ok()?;
            is_suitable.then_some(connection)
        };
        timeout(ANSWER_TIMEOUT, connection).await.ok().flatten()
    }

    fn set_current(&self, index: usize) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.index != index || self.generation.load(Ordering::Acquire) == 1 {
            *current = CurrentServer {
                index,
                selected_at: timer::now(),
            };
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    async fn is_still_suitable(&self, connection: &mut PgConnection) -> bool {
        let state = timeout(ANSWER_TIMEOUT, self.state(connection)).await;
        matches!(state, Ok(Ok((_, true))))
    }

    /// Checks the current server every second on a dedicated connection. Selects again when it fails or is demoted.
    pub(super) async fn monitor(&self) {
        let mut monitored = None;
        loop {
            if let Some(connection) = &mut monitored
                && self.is_still_suitable(connection).await
            {
                let _ = timeout(MONITOR_INTERVAL, self.mismatch.notified()).await;
                continue;
            }
            // The old connection is dropped, not closed, because its server may not respond.
            monitored = self.select_server().await;
            if monitored.is_none() {
                sleep(MONITOR_INTERVAL).await;
            }
        }
    }
}
