//! Connections for reads and writes, without the types of the ORM.

use sea_orm::ConnectionTrait;

use super::connect::Db;

/// Pool, or a transaction on it.
pub trait Reader: Sync {
    fn connection(&self) -> &impl ConnectionTrait;
}

/// Write transaction. Functions whose writes require a [`CatalogTx`](super::CatalogTx) take that type instead.
pub trait Writer: Reader {}

impl Reader for Db {
    fn connection(&self) -> &impl ConnectionTrait {
        self.pool()
    }
}
