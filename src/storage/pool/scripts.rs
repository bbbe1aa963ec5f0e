//! Scripts on connections of the pool. A script that is harmless to repeat is also the check of its connection.

use std::sync::atomic::{AtomicBool, Ordering};
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
use crate::storage::statements::{Transaction, is_refusal, is_write};
use crate::storage::timeouts::{BEGIN_TIMEOUT, STATEMENT_TIMEOUT, with_timeout};

/// Time limit for a connection that was not checked to begin a transaction, which no load of the server delays for long.
const UNCHECKED_BEGIN_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest idle time of a connection that runs queries without a check. Its silence is then more likely a slow query than
/// a lost connection, so queries get their whole time limit.
const RECENT_USE: Duration = Duration::from_secs(2);

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
        let unchecked = without_check(Duration::MAX, self.acquire()).await?;
        let mut output = CollectedOutput::default();
        let first = run_on(unchecked, script, UNCHECKED_BEGIN_TIMEOUT, &mut output).await;
        let connection = match first {
            Ok(connection) => connection,
            Err(error) if is_refusal(&error) => return Err(error),
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
        let has_write = queries.iter().any(|query| is_write(&query.sql));
        let queries: Vec<_> = queries.into_iter().map(Command::Query).collect();
        let script = script_text(&queries)?;
        let sent = has_write.then(send_write);
        let is_repeated = AtomicBool::new(false);
        let query = || Box::pin(self.query_on_any(&script, &is_repeated));
        match Box::pin(self.with_connection(query)).await {
            Ok((results, _)) => Ok(results),
            Err(error) => {
                // Otherwise the record stands: an attempt without an answer may have been executed.
                if let Some(sent) = sent
                    && is_refusal(&error)
                    && !is_repeated.load(Ordering::Relaxed)
                {
                    sent.mark_refused();
                }
                Err(error)
            }
        }
    }

    /// Runs a script, and again on a connection that is checked first if the first one is lost.
    async fn query_on_any(
        &self,
        script: &str,
        is_repeated: &AtomicBool,
    ) -> Result<Vec<Vec<QueryResult>>, DbErr> {
        let unchecked = without_check(RECENT_USE, self.acquire()).await?;
        let mut output = CollectedOutput::default();
        if let Err(error) = run_on(unchecked, script, STATEMENT_TIMEOUT, &mut output).await {
            if is_refusal(&error) || !matches!(error, DbErr::Query(_)) {
                return Err(error);
            }
            is_repeated.store(true, Ordering::Relaxed);
            let checked = self.acquire().await?;
            output = CollectedOutput::default();
            run_on(checked, script, STATEMENT_TIMEOUT, &mut output).await?;
        }
        let results = output.into_results().into_iter();
        Ok(results.map(|result| result.rows).collect())
    }
}

/// Runs a repeatable script. A connection that fails or stays silent is closed.
async fn run_on(
    mut connection: PoolConnection<Postgres>,
    script: &str,
    limit: Duration,
    output: &mut CollectedOutput,
) -> Result<PoolConnection<Postgres>, DbErr> {
    let run = async {
        let run = run_on_postgres(&mut connection, script.to_owned(), limit, output);
        run.await.map_err(ScriptError::into_database)
    };
    match with_timeout(limit, run).await {
        Ok(()) => Ok(connection),
        Err(error) => {
            if !is_refusal(&error) {
                connection.close_on_drop();
            }
            Err(error)
        }
    }
}
