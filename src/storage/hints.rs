//! Hints between the nodes of one PostgreSQL that something changed. A hint says little more, and may be lost: who
//! follows the database compares states anyway. SQLite has one process and needs none.

use sea_orm::sqlx::postgres::PgListener;
use sea_orm::{ConnectionTrait, DbErr, RuntimeErr, Statement, sqlx};

use super::StorageError;
use super::connect::{Backend, Db};
use crate::catalog::ids::PushId;

/// Ids in one hint: PostgreSQL takes less than 8,000 bytes, and an id has 36 and a comma.
const PUSHES_IN_A_HINT: usize = 200;

/// What hints are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HintChannel {
    Catalog,
    Pushes,
}

impl HintChannel {
    const fn name(self) -> &'static str {
        match self {
            Self::Catalog => "slipway_catalog",
            Self::Pushes => "slipway_push",
        }
    }
}

/// What a listener hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// With what the hint names; see [`pushes_in`].
    Changed(String),
    /// The connection was lost and made again: hints in between were not heard.
    Reconnected,
}

/// Listens on a connection of its own.
pub struct Hints(PgListener);

impl Db {
    /// Tells the other nodes that something of the catalog was committed. Outside of any transaction: inside,
    /// PostgreSQL would make commits wait for one another.
    pub async fn hint(&self) -> Result<(), StorageError> {
        self.notify(HintChannel::Catalog, "").await
    }

    /// Tells the other nodes that something of these pushes was committed; the same holds.
    pub async fn hint_of_pushes(&self, pushes: &[PushId]) -> Result<(), StorageError> {
        for pushes in pushes.chunks(PUSHES_IN_A_HINT) {
            let named: Vec<_> = pushes.iter().map(ToString::to_string).collect();
            self.notify(HintChannel::Pushes, &named.join(",")).await?;
        }
        Ok(())
    }

    async fn notify(&self, channel: HintChannel, payload: &str) -> Result<(), StorageError> {
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

    /// Begins to listen; `None` on SQLite.
    pub async fn listen(&self, channel: HintChannel) -> Result<Option<Hints>, StorageError> {
        if self.backend() == Backend::Sqlite {
            return Ok(None);
        }
        // Hints save a poll at best, so a listener never takes the last connection that is to be had.
        self.require_two_connections().await.map_err(unavailable)?;
        // Kept for as long as it listens.
        let own = self.reopen().await?;
        let mut listener = PgListener::connect_with(own.pool().postgres())
            .await
            .map_err(unavailable)?;
        listener.listen(channel.name()).await.map_err(unavailable)?;
        Ok(Some(Hints(listener)))
    }
}

/// The pushes that a hint names. What is no id is left out: whoever may send hints may as well send nonsense.
pub fn pushes_in(hint: &str) -> impl Iterator<Item = PushId> + '_ {
    hint.split(',').filter_map(|id| id.parse().ok())
}

impl Hints {
    /// Waits for the next hint. An error is a connection that could not be made again.
    pub async fn next(&mut self) -> Result<Hint, StorageError> {
        match self.0.try_recv().await {
            Ok(Some(heard)) => Ok(Hint::Changed(heard.payload().to_owned())),
            Ok(None) => Ok(Hint::Reconnected),
            Err(error) => Err(unavailable(error)),
        }
    }
}

fn unavailable(error: sqlx::Error) -> StorageError {
    DbErr::Conn(RuntimeErr::SqlxError(error.into())).into()
}
