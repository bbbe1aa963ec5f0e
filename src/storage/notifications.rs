//! Change notifications (hints) between the nodes of one PostgreSQL database.
//!
//! A hint carries little data and may be lost, because nodes compare states anyway. SQLite has a single process and
//! needs no notifications.

use sea_orm::sqlx::postgres::{PgListener, PgNotification};
use sea_orm::{ConnectionTrait, DbErr, RuntimeErr, Statement, sqlx};

use super::StorageError;
use super::connect::{Backend, Db};
use slipway_domain::catalog::ids::PushId;

/// Push ids per notification. PostgreSQL accepts less than 8,000 bytes, and an id has 36 bytes and a comma.
const PUSHES_PER_NOTIFICATION: usize = 200;
/// Channels of the notifications.
const CATALOG: &str = "slipway_catalog";
const PUSHES: &str = "slipway_push";

/// Committed change that other nodes should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    Catalog,
    Push(PushId),
}

/// Event of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notification {
    Changed(Hint),
    /// The connection was lost and restored. Notifications in between are lost.
    Reconnected,
}

/// Listener with a dedicated connection.
pub struct NotificationListener(PgListener);

impl Db {
    /// Notifies the other nodes of committed changes.
    ///
    /// Runs outside any transaction: inside one, PostgreSQL would make commits wait for each other.
    pub async fn notify(&self, hints: &[Hint]) -> Result<(), StorageError> {
        if hints.contains(&Hint::Catalog) {
            self.send_notification(CATALOG, "").await?;
        }
        let pushes = hints.iter().filter_map(|hint| match hint {
            Hint::Push(push) => Some(push.to_string()),
            Hint::Catalog => None,
        });
        for pushes in pushes.collect::<Vec<_>>().chunks(PUSHES_PER_NOTIFICATION) {
            self.send_notification(PUSHES, &pushes.join(",")).await?;
        }
        Ok(())
    }

    async fn send_notification(&self, channel: &str, payload: &str) -> Result<(), StorageError> {
        if self.backend() == Backend::Postgres {
            let notify = Statement::from_sql_and_values(
                self.pool().get_database_backend(),
                "SELECT pg_notify($1, $2)",
                [channel.into(), payload.into()],
            );
            self.pool().execute_raw(notify).await?;
        }
        Ok(())
    }

    /// Starts a listener; `None` on SQLite.
    pub async fn listen(&self) -> Result<Option<NotificationListener>, StorageError> {
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
        listener
            .listen_all([CATALOG, PUSHES])
            .await
            .map_err(unavailable)?;
        Ok(Some(NotificationListener(listener)))
    }
}

impl NotificationListener {
    /// Waits for the next events. Fails if a lost connection cannot be restored.
    pub async fn next(&mut self) -> Result<Vec<Notification>, StorageError> {
        match self.0.try_recv().await {
            Ok(Some(notification)) => Ok(parse(&notification)),
            Ok(None) => Ok(vec![Notification::Reconnected]),
            Err(error) => Err(unavailable(error)),
        }
    }
}

/// Returns the changes that a notification names. Invalid ids are skipped, because a sender may send any text.
fn parse(notification: &PgNotification) -> Vec<Notification> {
    let ids = notification.payload().split(',');
    match notification.channel() {
        PUSHES => ids
            .filter_map(|id| Some(Notification::Changed(Hint::Push(id.parse().ok()?))))
            .collect(),
        _ => vec![Notification::Changed(Hint::Catalog)],
    }
}

fn unavailable(error: sqlx::Error) -> StorageError {
    DbErr::Conn(RuntimeErr::SqlxError(error.into())).into()
}
