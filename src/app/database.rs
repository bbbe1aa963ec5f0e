//! Opens the installation's database. A new one is created only if the data directory is free of files of an earlier
//! installation.

use std::path::Path;

use anyhow::{Context as _, bail};

use crate::config::Config;
use crate::data_directory;
use crate::storage::{
    ConnectSettings, Db, Durability, FileState, connect, create_sqlite, file_state, sqlite_path,
};

/// Opens the configured database. Creates an absent SQLite file, unless the data directory belongs to an installation:
/// an empty database in its place would reject all of its devices.
pub(super) async fn open(config: &Config, durability: Durability) -> anyhow::Result<Db> {
    let url = config.database_url_or_embedded();
    let cannot_be_opened = "the database cannot be opened";
    let settings = ConnectSettings {
        durability,
        connections: config.database_connections,
    };
    let Some(path) = sqlite_path(&url).context(cannot_be_opened)? else {
        return connect(&url, settings).await.context(cannot_be_opened);
    };
    let cannot_be_opened = || format!("the database {} cannot be opened", path.display());
    let is_new = match file_state(&path).with_context(cannot_be_opened)? {
        FileState::Present => false,
        state => {
            make(config, &url, &path, state).await?;
            true
        }
    };
    let db = connect(&url, settings).await.with_context(cannot_be_opened)?;
    if !db.has_schema().await.with_context(cannot_be_opened)? {
        if !is_new {
            require_no_earlier_installation(config, &path, "empty")?;
        }
        // Migrates before a key is created: a key without a database looks like a lost installation.
        db.migrate()
            .await
            .context("the database's schema cannot be brought up to date")?;
    }
    Ok(db)
}

async fn make(config: &Config, url: &str, path: &Path, state: FileState) -> anyhow::Result<()> {
    match state {
        FileState::OnlyLog => bail!(
            "the database {0} is missing, but its log {0}-wal is there: put the database back or restore a backup; to \
             begin a new installation, move the log away first",
            path.display()
        ),
        FileState::Empty => require_no_earlier_installation(config, path, "an empty file")?,
        FileState::Absent | FileState::Present => require_no_earlier_installation(config, path, "missing")?,
    }
    create_sqlite(url)
        .await
        .with_context(|| format!("the database {} cannot be created", path.display()))?;
    tracing::warn!(path = %path.display(), "created a new, empty database");
    Ok(())
}

fn require_no_earlier_installation(config: &Config, path: &Path, what: &str) -> anyhow::Result<()> {
    let Some(trace) = data_directory::trace_of_installation(&config.data_dir) else {
        return Ok(());
    };
    bail!(
        "the data directory {} holds {trace}, but its database {} is {what}: mount its volume, put the file back or \
         restore a backup, or correct SLIPWAY_DATABASE_URL; to begin a new and empty installation, move {trace} away \
         first",
        config.data_dir.display(),
        path.display(),
    )
}
