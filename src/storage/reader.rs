//! Connections for reads and writes, without the types of the ORM.

use sea_orm::sea_query::SelectStatement;
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement};

use super::connect::Db;
use super::pool::Pool;
use super::script::Command;
use super::statements::{QueuedWrite, Transaction};

/// Connection that sends several queries in one round trip.
pub trait Connection: ConnectionTrait {
    /// Returns the rows of each query.
    fn query_together(
        &self,
        queries: Vec<Statement>,
    ) -> impl Future<Output = Result<Vec<Vec<QueryResult>>, DbErr>> + Send;
}

/// Returns the rows of each of `N` queries, which are sent in one round trip.
pub(super) async fn together<const N: usize>(
    connection: &impl Connection,
    queries: [Statement; N],
) -> Result<[Vec<QueryResult>; N], DbErr> {
    let rows = connection.query_together(queries.into()).await?;
    rows.try_into()
        .map_err(|_| DbErr::Custom("a query of several has no result".to_owned()))
}

/// Returns `true` if a query finds more rows than `limit`. The query should be in the order of an index, which then reads no
/// more than that.
pub(super) async fn finds_more_than(
    reader: &impl Reader,
    mut query: SelectStatement,
    limit: u64,
) -> Result<bool, DbErr> {
    query.limit(1).offset(limit);
    Ok(reader.connection().query_one(&query).await?.is_some())
}

/// Pool, or a transaction on it.
pub trait Reader: Sync {
    fn connection(&self) -> &impl Connection;
}

/// Write transaction. Functions whose writes require a [`CatalogTx`](super::CatalogTx) take that type instead.
pub trait Writer: Reader {
    /// Sends a write with the next statement, at the latest with the commit.
    fn queue(&self, write: QueuedWrite);
}

impl Reader for Db {
    fn connection(&self) -> &impl Connection {
        self.pool()
    }
}

impl Connection for Pool {
    async fn query_together(&self, queries: Vec<Statement>) -> Result<Vec<Vec<QueryResult>>, DbErr> {
        self.run_together(queries).await
    }
}

impl Connection for Transaction {
    async fn query_together(&self, queries: Vec<Statement>) -> Result<Vec<Vec<QueryResult>>, DbErr> {
        let queries = queries.into_iter().map(Command::Query).collect();
        self.query(queries).await
    }
}
