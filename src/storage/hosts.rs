//! Choice of a PostgreSQL server among several, and failover to another one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{self, ConnectOptions, Executor, PgPool, Row};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::postgres;
use super::postgres_url::{Servers, Wanted};

/// Interval between checks that the chosen server is still suitable.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// Time limit for a server to accept a connection or to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// Checks in one round trip that a connection is outside a transaction, that it may write, and that its server is a
/// primary.
const STATE: &str = "SELECT transaction_timestamp() = statement_timestamp(), \
     current_setting('transaction_read_only') = 'off', NOT pg_is_in_recovery()";

/// PostgreSQL servers of an installation, and the chosen one.
#[derive(Debug)]
pub(super) struct Hosts {
    servers: Servers,
    chosen: Mutex<Choice>,
    /// Number of choices made. A pool compares it to detect a new choice.
    number: AtomicU64,
    /// Notified when a connection finds that its server is unsuitable.
    is_wrong: Notify,
}

#[derive(Debug, Clone, Copy)]
struct Choice {
    index: usize,
    at: Instant,
}

impl Hosts {
    /// Chooses a server, unless none responds: a start does not wait for them.
    pub(super) async fn new(mut servers: Servers) -> Arc<Self> {
        servers.options = servers
            .options
            .into_iter()
            .map(postgres::connect_options)
            .collect();
        let hosts = Arc::new(Self {
            servers,
            chosen: Mutex::new(Choice {
                index: 0,
                at: Instant::now(),
            }),
            number: AtomicU64::new(1),
            is_wrong: Notify::new(),
        });
        if hosts.has_choice() {
            let _ = timeout(ANSWER_LIMIT, hosts.choose()).await;
        }
        hosts
    }

    /// Returns `true` if another server may have to replace the chosen one.
    pub(super) fn has_choice(&self) -> bool {
        self.servers.options.len() > 1 || self.servers.wanted != Wanted::Any
    }

    fn choice(&self) -> Choice {
        *self.chosen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection options of the chosen server.
    pub(super) fn connect_options(&self) -> PgConnectOptions {
        self.servers.options[self.choice().index].clone()
    }

    /// Connects a pool to the chosen server. `followed` is the choice that the pool has used so far.
    pub(super) fn follow(&self, pool: &PgPool, followed: &AtomicU64) {
        let number = self.number.load(Ordering::Acquire);
        if followed.swap(number, Ordering::AcqRel) != number {
            pool.set_connect_options(self.connect_options());
        }
    }

    /// Returns `true` if a pooled connection of this age is usable: outside a transaction, and on the chosen and
    /// suitable server.
    pub(super) async fn is_usable(
        &self,
        connection: &mut PgConnection,
        age: Duration,
    ) -> Result<bool, sqlx::Error> {
        if age > self.choice().at.elapsed() && self.number.load(Ordering::Acquire) > 1 {
            return Ok(false);
        }
        let (is_outside, is_right) = self.state(connection).await?;
        if !is_right {
            self.is_wrong.notify_one();
        }
        Ok(is_outside && is_right)
    }

    /// Refuses a new connection to an unsuitable server.
    pub(super) async fn require_right(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.has_choice() || self.state(connection).await?.1 {
            return Ok(());
        }
        self.is_wrong.notify_one();
        Err(sqlx::Error::Configuration(
            "this server of the database URL does not match target_session_attrs".into(),
        ))
    }

    /// Returns two flags: the connection is outside a transaction, and its server is suitable.
    async fn state(&self, connection: &mut PgConnection) -> Result<(bool, bool), sqlx::Error> {
        let row = connection.fetch_one(STATE).await?;
        let is_right = match self.servers.wanted {
            Wanted::Any => true,
            Wanted::ReadWrite => row.try_get(1)?,
            Wanted::Primary => row.try_get(2)?,
        };
        Ok((row.try_get(0)?, is_right))
    }

    /// Tries the servers in order, chooses the first suitable one and returns a connection to it.
    ///
    /// The choice is unchanged if no server is suitable.
    async fn choose(&self) -> Option<PgConnection> {
        for (index, options) in self.servers.options.iter().enumerate() {
            if let Some(connection) = self.try_server(options).await {
                self.take(index);
                return Some(connection);
            }
        }
        None
    }

    async fn try_server(&self, options: &PgConnectOptions) -> Option<PgConnection> {
        let connection = async {
            let mut connection = options.connect().await.ok()?;
            postgres::prepare(&mut connection).await.ok()?;
            let (_, is_right) = self.state(&mut connection).await.ok()?;
            is_right.then_some(connection)
        };
        timeout(ANSWER_LIMIT, connection).await.ok().flatten()
    }

    fn take(&self, index: usize) {
        let mut chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        if chosen.index != index || self.number.load(Ordering::Acquire) == 1 {
            *chosen = Choice {
                index,
                at: Instant::now(),
            };
            self.number.fetch_add(1, Ordering::AcqRel);
        }
    }

    async fn is_still_right(&self, connection: &mut PgConnection) -> bool {
        let state = timeout(ANSWER_LIMIT, self.state(connection)).await;
        matches!(state, Ok(Ok((_, true))))
    }

    /// Checks the chosen server every second on a dedicated connection. Chooses again when it fails or is demoted.
    pub(super) async fn watch(&self) {
        let mut watched = None;
        loop {
            if let Some(connection) = &mut watched
                && self.is_still_right(connection).await
            {
                let _ = timeout(WATCH_EVERY, self.is_wrong.notified()).await;
                continue;
            }
            // The old connection is dropped, not closed, because its server may not respond.
            watched = self.choose().await;
            if watched.is_none() {
                sleep(WATCH_EVERY).await;
            }
        }
    }
}
