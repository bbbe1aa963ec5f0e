//! What one can read from and write to, without naming the ORM.

use sea_orm::ConnectionTrait;

use super::connect::Db;
use super::transaction::{CatalogTx, ReadTx, Tx};

/// The pool, or any transaction on it.
pub trait Reader: Sync {
    fn connection(&self) -> &impl ConnectionTrait;
}

/// A transaction that may write. What only [`CatalogTx`] may write asks for that.
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
