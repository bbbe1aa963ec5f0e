//! A fresh SQLite or PostgreSQL database for each test.

use sea_orm::ConnectionTrait as _;
use slipway::storage::{Db, Durability, connect, create_sqlite};
use tempfile::TempDir;

use super::postgres::PostgresServer;

/// An empty database and its URL.
pub struct TestDatabase {
    pub db: Db,
    pub url: String,
    /// Deletes the SQLite file when the test ends.
    _directory: Option<TempDir>,
}

impl TestDatabase {
    pub async fn sqlite() -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let url = format!("sqlite://{}", directory.path().join("slipway.db").display());
        create_sqlite(&url).await.expect("the file can be made");
        Self::open(url, Some(directory)).await
    }

    pub async fn postgres() -> Self {
        let url = tokio::task::spawn_blocking(|| PostgresServer::shared().database());
        Self::open(url.await.expect("the server makes databases"), None).await
    }

    /// Returns a database of a PostgreSQL server that does not run.
    pub async fn unavailable() -> Self {
        Self::open(
            "postgres://slipway@localhost/none?host=/nonexistent".to_owned(),
            None,
        )
        .await
    }

    /// Creates a database on a server.
    pub async fn of(server: &PostgresServer) -> Self {
        Self::open(server.database(), None).await
    }

    /// Returns the same database, for starting another node on it.
    pub async fn again(&self) -> Self {
        Self::open(self.url.clone(), None).await
    }

    /// Opens another pool to the same database, like a second node.
    pub async fn another_node(&self) -> Db {
        connect(&self.url, Durability::Relaxed)
            .await
            .expect("the database opens")
    }

    /// Deletes the tokens of devices, as restoring an older backup does.
    pub async fn forget_device_tokens(&self) {
        let connection = sea_orm::Database::connect(&self.url).await.unwrap();
        connection
            .execute_unprepared("DELETE FROM device_tokens")
            .await
            .unwrap();
        connection.close().await.unwrap();
    }

    /// Opens a database of a server that the test has started itself.
    pub async fn at(url: &str) -> Self {
        Self::open(url.to_owned(), None).await
    }

    async fn open(url: String, directory: Option<TempDir>) -> Self {
        let db = connect(&url, Durability::Relaxed)
            .await
            .expect("the database opens");
        Self {
            db,
            url,
            _directory: directory,
        }
    }
}

/// Turns each `async fn(TestDatabase)` into a test on SQLite and a test on PostgreSQL.
#[macro_export]
macro_rules! on_both_databases {
    ($($test:ident),* $(,)?) => {
        mod sqlite {$(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test($crate::database::TestDatabase::sqlite().await).await;
            }
        )*}

        mod postgres {$(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test($crate::database::TestDatabase::postgres().await).await;
            }
        )*}
    };
}
