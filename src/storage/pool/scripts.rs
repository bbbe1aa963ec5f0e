//! Scripts on connections of the pool. A script that is harmless to repeat is also the check of its connection.

use std::time::Duration;

use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::{self, Executor as _, Postgres};
use sea_orm::{ConnAcquireErr, ConnectionTrait as _, DbErr, QueryResult, RuntimeErr, Statement};

use super::Pool;
use crate::storage::hosts::without_check;
use crate::storage::postgres_transaction::PostgresTransaction;
use crate::storage::progress::send_write;
use crate::storage::script::{
    CollectedOutput, Command, ScriptError, query_error, run_on_postgres, script_text,
};
use crate::storage::statements::{Transaction, is_write};
use crate::storage::timeouts::{BEGIN_TIMEOUT, STATEMENT_TIMEOUT, with_timeout};

/// Time limit for the answer of a connection that was not checked before.
const UNCHECKED_TIMEOUT: Duration = Duration::from_secs(2);

impl Pool {
    /// Begins a transaction on PostgreSQL with a script, which is also the check of the connection.
    pub(in crate::storage) async fn begin_postgres(
        &self,
        script: &'static str,
    ) -> Result<Transaction, DbErr> {
        let begin = || Box::pin(self.begin_on_any(script));
        let (transaction, permit) = Box::pin(self.with_connection(begin)).await?;
        Ok(Transaction::of_postgres(transaction, permit))
    }

    async fn begin_on_any(&self, script: &'static str) -> Result<PostgresTransaction, DbErr> {
        let first = self.run_unchecked(script, &mut CollectedOutput::default()).await;
        let connection = match first {
            Ok(connection) => connection,
            Err(error) if !is_of_statement(&error) => return Err(error),
            Err(_) => {
                // Nothing has begun, so the script is repeated on a connection that is checked first.
                let begin = async {
                    let mut connection = self.acquire().await?;
                    let done = connection.execute(script).await;
                    done.map(|_| connection).map_err(query_error)
                };
                with_timeout(BEGIN_TIMEOUT, begin).await?
            }
        };
        Ok(PostgresTransaction::new(connection))
    }

    /// Runs a repeatable script on a PostgreSQL connection that is not checked before. A connection that fails or stays
    /// silent is closed.
    async fn run_unchecked(
        &self,
        script: &str,
        output: &mut CollectedOutput,
    ) -> Result<PoolConnection<Postgres>, DbErr> {
        let mut connection = without_check(self.acquire()).await?;
        let run = async {
            let run = run_on_postgres(&mut connection, script.to_owned(), UNCHECKED_TIMEOUT, output);
            run.await.map_err(ScriptError::into_database)
        };
        match with_timeout(UNCHECKED_TIMEOUT, run).await {
            Ok(()) => Ok(connection),
            Err(error) => {
                connection.close_on_drop();
                Err(error)
            }
        }
    }

    async fn acquire(&self) -> Result<PoolConnection<Postgres>, DbErr> {
        let pool = self.shared.connection.get_postgres_connection_pool();
        pool.acquire().await.map_err(|error| match error {
            sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
            sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
            error => DbErr::Conn(RuntimeErr::SqlxError(error.into())),
        })
    }

    /// Runs queries in one round trip. They may be repeated, so that writes among them must be repeatable.
    pub(in crate::storage) async fn run_together(
        &self,
        queries: Vec<Statement>,
    ) -> Result<Vec<Vec<QueryResult>>, DbErr> {
        if self.shared.hosts.is_none() {
            let mut results = Vec::with_capacity(queries.len());
            for query in queries {
                results.push(self.query_all_raw(query).await?);
            }
            return Ok(results);
        }
        if queries.iter().any(|query| is_write(&query.sql)) {
            // The record stands: an attempt without an answer may have been executed.
            let _ = send_write();
        }
        let queries: Vec<_> = queries.into_iter().map(Command::Query).collect();
        let script = script_text(&queries)?;
        let query = || Box::pin(self.query_on_any(&script));
        Ok(Box::pin(self.with_connection(query)).await?.0)
    }

    async fn query_on_any(&self, script: &str) -> Result<Vec<Vec<QueryResult>>, DbErr> {
        let mut output = CollectedOutput::default();
        if let Err(error) = self.run_unchecked(script, &mut output).await {
            if !is_of_statement(&error) {
                return Err(error);
            }
            output = CollectedOutput::default();
            let query = async {
                let mut connection = self.acquire().await?;
                let run = run_on_postgres(&mut connection, script.to_owned(), STATEMENT_TIMEOUT, &mut output);
                run.await.map_err(ScriptError::into_database)
            };
            with_timeout(STATEMENT_TIMEOUT, query).await?;
        }
        let results = output.into_results().into_iter();
        Ok(results.map(|result| result.rows).collect())
    }
}

/// Returns `true` if a connection was acquired and then failed or stayed silent.
fn is_of_statement(error: &DbErr) -> bool {
    matches!(error, DbErr::Query(_) | DbErr::Conn(RuntimeErr::Internal(_)))
}
