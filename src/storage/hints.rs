//! Hints between the nodes of one PostgreSQL that something changed. A hint says nothing more, and may be lost: who
//! follows the catalog compares states anyway. SQLite has one process and needs none.

use sea_orm::sqlx::postgres::PgListener;
use sea_orm::{ConnectionTrait, DbErr, RuntimeErr, Statement, sqlx};

use super::StorageError;
use super::connect::{Backend, Db};

const CHANNEL: &str = "slipway_catalog";

/// What a listener hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    Changed,
    /// The connection was lost and made again: hints in between were not heard.
    Reconnected,
}

/// Listens on a connection of its own.
pub struct Hints(PgListener);

impl Db {
    /// Tells the other nodes that something was committed. Outside of any transaction: inside, PostgreSQL would make
    /// commits wait for one another.
    pub async fn hint(&self) -> Result<(), StorageError> {
        if self.backend() == Backend::Postgres {
            let backend = self.pool().get_database_backend();
            let notify = Statement::from_string(backend, format!("NOTIFY {CHANNEL}"));
            self.pool().execute_raw(notify).await?;
        }
        Ok(())
    }

    /// Begins to listen; `None` on SQLite.
    pub async fn listen(&self) -> Result<Option<Hints>, StorageError> {
        if self.backend() == Backend::Sqlite {
            return Ok(None);
        }
        let pool = self.pool().get_postgres_connection_pool();
        let mut listener = PgListener::connect_with(pool).await.map_err(unavailable)?;
        listener.listen(CHANNEL).await.map_err(unavailable)?;
        Ok(Some(Hints(listener)))
    }
}

impl Hints {
    /// Waits for the next hint. An error is a connection that could not be made again.
    pub async fn next(&mut self) -> Result<Hint, StorageError> {
        match self.0.try_recv().await {
            Ok(Some(_)) => Ok(Hint::Changed),
            Ok(None) => Ok(Hint::Reconnected),
            Err(error) => Err(unavailable(error)),
        }
    }
}

fn unavailable(error: sqlx::Error) -> StorageError {
    StorageError::Unavailable(DbErr::Conn(RuntimeErr::SqlxError(error.into())))
}
