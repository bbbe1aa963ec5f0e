//! Connections for reads and writes, without the types of the ORM.

use sea_orm::ConnectionTrait;

use super::connect::Db;
use super::transaction::{CatalogTx, ReadTx, Tx};

/// Pool, or a transaction on it.
pub trait Reader: Sync {
    fn connection(&self) -> &impl ConnectionTrait;
}

/// Write transaction. Functions whose writes require a [`CatalogTx`] take that type instead.
pub trait Writer: Reader {}

impl Reader for Db {
    fn connection(&self) -> &impl ConnectionTrait {
        self.pool()
    }
}

impl Reader for ReadTx {
    fn connection(&self) -> &impl ConnectionTrait {
        self.transaction()
    }
}

impl Reader for Tx {
    fn connection(&self) -> &impl ConnectionTrait {
        self.transaction()
    }
}

impl Reader for CatalogTx {
    fn connection(&self) -> &impl ConnectionTrait {
        self.transaction()
    }
}

impl Writer for Tx {}

impl Writer for CatalogTx {}
