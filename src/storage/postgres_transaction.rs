//! Transaction on a PostgreSQL connection, which runs scripts in one round trip.

use std::time::Duration;

use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::{self, AssertSqlSafe, Executor as _, Postgres};
use sea_orm::{DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Values};
use sea_query_sqlx::SqlxValues;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use super::script::{ScriptError, ScriptOutput, query_error, run_on_postgres};

/// Time limit for ending an abandoned transaction, after which its connection is closed.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(2);

/// Open transaction. Rolls back when dropped without [`PostgresTransaction::finish`].
#[derive(Debug)]
pub(super) struct PostgresTransaction {
    /// `None` once the transaction has ended.
    connection: Mutex<Option<PoolConnection<Postgres>>>,
}

impl PostgresTransaction {
    /// Takes a connection on which a transaction has begun.
    pub(super) fn new(connection: PoolConnection<Postgres>) -> Self {
        Self {
            connection: Mutex::new(Some(connection)),
        }
    }

    pub(super) async fn execute(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let mut connection = self.connection.lock().await;
        let query = query(&statement);
        let done = query.execute(&mut **require(&mut connection)?).await;
        done.map(Into::into).map_err(exec_error)
    }

    pub(super) async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut connection = self.connection.lock().await;
        let connection = require(&mut connection)?;
        let done = connection.execute(AssertSqlSafe(sql.to_owned())).await;
        done.map(Into::into).map_err(exec_error)
    }

    pub(super) async fn query_one(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut connection = self.connection.lock().await;
        let query = query(&statement);
        let row = query.fetch_optional(&mut **require(&mut connection)?).await;
        row.map(|row| row.map(Into::into)).map_err(query_error)
    }

    pub(super) async fn query_all(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut connection = self.connection.lock().await;
        let query = query(&statement);
        let rows = query.fetch_all(&mut **require(&mut connection)?).await;
        rows.map(|rows| rows.into_iter().map(Into::into).collect())
            .map_err(query_error)
    }

    /// Runs a script. `limit` applies to each row.
    pub(super) async fn run(
        &self,
        script: String,
        limit: Duration,
        output: &mut impl ScriptOutput,
    ) -> Result<(), ScriptError> {
        let mut connection = self.connection.lock().await;
        run_on_postgres(require(&mut connection)?, script, limit, output).await
    }

    /// Runs a script that ends with COMMIT, and returns the connection to the pool.
    pub(super) async fn finish(
        mut self,
        script: String,
        limit: Duration,
        output: &mut impl ScriptOutput,
    ) -> Result<(), ScriptError> {
        let connection = self.connection.get_mut();
        let open = connection.as_mut().ok_or_else(closed)?;
        run_on_postgres(open, script, limit, output).await?;
        *connection = None;
        Ok(())
    }
}

impl Drop for PostgresTransaction {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.get_mut().take() else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else {
            connection.close_on_drop();
            return;
        };
        // A cancelled statement may still be in flight. Its response is read before that of the rollback.
        runtime.spawn(async move {
            let ended = timeout(ROLLBACK_TIMEOUT, connection.execute("ROLLBACK")).await;
            if !matches!(ended, Ok(Ok(_))) {
                connection.close_on_drop();
            }
        });
    }
}

fn require<'a>(
    connection: &'a mut MutexGuard<'_, Option<PoolConnection<Postgres>>>,
) -> Result<&'a mut PoolConnection<Postgres>, DbErr> {
    connection.as_mut().ok_or_else(closed)
}

fn closed() -> DbErr {
    DbErr::Custom("the transaction has ended".to_owned())
}

fn query(statement: &Statement) -> sqlx::query::Query<'_, Postgres, SqlxValues> {
    let values = statement.values.clone().unwrap_or_else(|| Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql.as_str()), SqlxValues(values))
}

fn exec_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}
