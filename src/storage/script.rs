//! Scripts: statements that are sent to the database together and cost one round trip.

use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::{self, AssertSqlSafe, Either};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, RuntimeErr, Statement, StreamTrait};

use super::StorageError;
use super::literal::with_values;
use super::timeouts::with_timeout;

/// Error of a script.
#[derive(Debug)]
pub(super) enum ScriptError {
    Database(DbErr),
    /// The receiver of the rows refused one.
    Output(StorageError),
}

impl From<DbErr> for ScriptError {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

impl From<StorageError> for ScriptError {
    fn from(error: StorageError) -> Self {
        Self::Output(error)
    }
}

impl ScriptError {
    /// Returns the error of a script whose output refuses nothing.
    pub(super) fn into_database(self) -> DbErr {
        match self {
            Self::Database(error) => error,
            Self::Output(error) => DbErr::Custom(error.to_string()),
        }
    }
}

impl From<ScriptError> for StorageError {
    fn from(error: ScriptError) -> Self {
        match error {
            ScriptError::Database(error) => error.into(),
            ScriptError::Output(error) => error,
        }
    }
}

/// Statement of a script.
#[derive(Debug, Clone)]
pub(super) enum Command {
    /// Returns rows.
    Query(Statement),
    /// Returns the number of rows that it wrote.
    Execute(Statement),
}

/// Result of one statement of a script.
#[derive(Debug, Default)]
pub(super) struct CommandResult {
    pub(super) rows: Vec<QueryResult>,
    pub(super) rows_affected: u64,
}

impl Command {
    pub(super) fn statement(&self) -> &Statement {
        match self {
            Self::Query(statement) | Self::Execute(statement) => statement,
        }
    }
}

/// Receiver of the rows and the ends of a script's statements, by the index of the statement.
pub(super) trait ScriptOutput: Send {
    fn row(&mut self, index: usize, row: QueryResult) -> Result<(), StorageError>;

    fn end(&mut self, _index: usize, _rows_affected: u64) -> Result<(), StorageError> {
        Ok(())
    }
}

/// Collects the results of a script.
#[derive(Default)]
pub(super) struct CollectedOutput {
    results: Vec<CommandResult>,
    current: CommandResult,
}

impl CollectedOutput {
    /// Returns the number of statements that succeeded.
    pub(super) fn ended(&self) -> usize {
        self.results.len()
    }

    pub(super) fn into_results(self) -> Vec<CommandResult> {
        self.results
    }
}

impl ScriptOutput for CollectedOutput {
    fn row(&mut self, _: usize, row: QueryResult) -> Result<(), StorageError> {
        self.current.rows.push(row);
        Ok(())
    }

    fn end(&mut self, _: usize, rows_affected: u64) -> Result<(), StorageError> {
        self.current.rows_affected = rows_affected;
        self.results.push(std::mem::take(&mut self.current));
        Ok(())
    }
}

/// Returns the text of a script for PostgreSQL.
pub(super) fn script_text(commands: &[Command]) -> Result<String, DbErr> {
    let statements: Result<Vec<_>, _> = commands
        .iter()
        .map(|command| with_values(command.statement()))
        .collect();
    Ok(statements?.join("; "))
}

/// Runs a script on a PostgreSQL connection. `limit` applies to each row.
pub(super) async fn run_on_postgres(
    connection: &mut PgConnection,
    script: String,
    limit: Duration,
    output: &mut impl ScriptOutput,
) -> Result<(), ScriptError> {
    let mut results = sqlx::raw_sql(AssertSqlSafe(script)).fetch_many(connection);
    let mut index = 0;
    loop {
        let next = async { results.try_next().await.map_err(query_error) };
        match with_timeout(limit, next).await? {
            Some(Either::Right(row)) => output.row(index, row.into())?,
            Some(Either::Left(end)) => {
                output.end(index, end.rows_affected())?;
                index += 1;
            }
            None => return Ok(()),
        }
    }
}

/// Runs a script on SQLite, one statement after the other.
pub(super) async fn run_on_sqlite<C>(
    connection: &C,
    commands: Vec<Command>,
    limit: Duration,
    output: &mut impl ScriptOutput,
) -> Result<(), ScriptError>
where
    C: ConnectionTrait + StreamTrait,
{
    for (index, command) in commands.into_iter().enumerate() {
        match command {
            Command::Query(statement) => {
                let mut rows = pin!(with_timeout(limit, connection.stream_raw(statement)).await?);
                while let Some(row) = with_timeout(limit, rows.try_next()).await? {
                    output.row(index, row)?;
                }
                output.end(index, 0)?;
            }
            Command::Execute(statement) => {
                let done = with_timeout(limit, connection.execute_raw(statement)).await?;
                output.end(index, done.rows_affected())?;
            }
        }
    }
    Ok(())
}

pub(super) fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}
