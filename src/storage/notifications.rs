//! Change notifications between the nodes of one PostgreSQL database.
//!
//! A notification carries little data and may be lost, because nodes compare states anyway. SQLite has a single process
//! and needs no notifications.

use sea_orm::sqlx::postgres::PgListener;
use sea_orm::{ConnectionTrait, DbErr, RuntimeErr, Statement, sqlx};

use super::StorageError;
use super::connect::{Backend, Db};
use slipway_domain::catalog::ids::PushId;

/// Push ids per notification. PostgreSQL accepts less than 8,000 bytes, and an id has 36 bytes and a comma.
const PUSHES_PER_NOTIFICATION: usize = 200;

/// Subject of notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotificationChannel {
    Catalog,
    Pushes,
}

impl NotificationChannel {
    const fn name(self) -> &'static str {
        match self {
            Self::Catalog => "slipway_catalog",
            Self::Pushes => "slipway_push",
        }
    }
}

/// Event of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    /// Change, with the payload of the notification; see [`parse_push_ids`].
    Changed(String),
    /// The connection was lost and restored. Notifications in between are lost.
    Reconnected,
}

/// Listener with a dedicated connection.
pub struct NotificationListener(PgListener);

impl Db {
    /// Notifies the other nodes of a committed catalog change.
    ///
    /// Runs outside any transaction: inside one, PostgreSQL would make commits wait for each other.
    pub async fn notify_catalog(&self) -> Result<(), StorageError> {
        self.notify(NotificationChannel::Catalog, "").await
    }

    /// Notifies the other nodes of committed changes to these pushes, outside any transaction.
    pub async fn notify_pushes(&self, pushes: &[PushId]) -> Result<(), StorageError> {
        for pushes in pushes.chunks(PUSHES_PER_NOTIFICATION) {
            let ids: Vec<_> = pushes.iter().map(ToString::to_string).collect();
            self.notify(NotificationChannel::Pushes, &ids.join(",")).await?;
        }
        Ok(())
    }

    async fn notify(&self, channel: NotificationChannel, payload: &str) -> Result<(), StorageError> {
        if self.backend() == Backend::Postgres {
            let notify = Statement::from_sql_and_values(
                self.pool().get_database_backend(),
                "SELECT pg_notify($1, $2)",
                [channel.name().into(), payload.into()],
            );
            self.pool().execute_raw(notify).await?;
        }
        Ok(())
    }

    /// Starts a listener; `None` on SQLite.
    pub async fn listen(
        &self,
        channel: NotificationChannel,
    ) -> Result<Option<NotificationListener>, StorageError> {
        if self.backend() == Backend::Sqlite {
            return Ok(None);
        }
        // A notification saves one poll at most, so a listener never takes the last available connection.
        self.require_two_connections().await.map_err(unavailable)?;
        // Kept open for the life of the listener.
        let own = self.reopen().await?;
        let mut listener = PgListener::connect_with(own.pool().postgres())
            .await
            .map_err(unavailable)?;
        listener.listen(channel.name()).await.map_err(unavailable)?;
        Ok(Some(NotificationListener(listener)))
    }
}

/// Returns the pushes that a notification names. Invalid ids are skipped, because a sender may send any text.
pub fn parse_push_ids(payload: &str) -> impl Iterator<Item = PushId> + '_ {
    payload.split(',').filter_map(|id| id.parse().ok())
}

impl NotificationListener {
    /// Waits for the next event. Fails if a lost connection cannot be restored.
    pub async fn next(&mut self) -> Result<Notification, StorageError> {
        match self.0.try_recv().await {
            Ok(Some(notification)) => Ok(Notification::Changed(notification.payload().to_owned())),
            Ok(None) => Ok(Notification::Reconnected),
            Err(error) => Err(unavailable(error)),
        }
    }
}

fn unavailable(error: sqlx::Error) -> StorageError {
    DbErr::Conn(RuntimeErr::SqlxError(error.into())).into()
}
