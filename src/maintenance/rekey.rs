//! `slipway rekey`: the last steps of a secret key rotation.

use std::io::Write;

use anyhow::bail;
use clap::Args;

use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::data_directory;
use crate::secrets::Keyring;
use crate::services::rekey;
use crate::storage::{Db, Durability};

#[derive(Args)]
pub struct RekeyCommand {
    /// Only list what still needs a key other than the first.
    #[arg(long)]
    status: bool,
    /// Also revoke device tokens that were issued with a key other than the first. Their devices need a one-time code
    /// to enrol again.
    #[arg(long, conflicts_with = "status")]
    revoke_old_device_tokens: bool,
    #[command(flatten)]
    config: Config,
}

/// Runs the command and prints its results to `out`.
pub async fn run(
    command: &RekeyCommand,
    clock: &dyn Clock,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    // The database is opened first: loading the keys could create a key in a directory without a database.
    let db = app::open_existing_database(&command.config, Durability::Full).await?;
    let keyring = data_directory::keyring(&command.config, false)?;
    if !command.status {
        seal_again(&db, &keyring, clock, out).await?;
        if command.revoke_old_device_tokens {
            let revoked = rekey::revoke_old_device_tokens(&db, &keyring, clock.now()).await?;
            writeln!(out, "device tokens revoked: {revoked}")?;
        }
    }
    status(&db, &keyring, out).await
}

async fn seal_again(
    db: &Db,
    keyring: &Keyring,
    clock: &dyn Clock,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    let done = rekey::rekey(db, keyring, clock.now()).await?;
    writeln!(out, "app keys sealed again: {}", done.app_keys)?;
    if done.changed > 0 {
        writeln!(out, "app keys that were changed meanwhile: {}", done.changed)?;
    }
    if done.unreadable > 0 {
        bail!(
            "{} app keys have a secret that none of the given keys decrypts; the log names them",
            done.unreadable
        );
    }
    Ok(())
}

async fn status(db: &Db, keyring: &Keyring, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    writeln!(out, "first key: {}", keyring.primary_key_id())?;
    let needs = rekey::list_needs(db, keyring).await?;
    for need in &needs {
        writeln!(
            out,
            "{}\t{}\tneeds key {}",
            need.kind.as_str(),
            need.count,
            need.key_id
        )?;
    }
    for id in keyring.ids().skip(1) {
        if needs.iter().all(|need| need.key_id != id) {
            writeln!(out, "key {id}: nothing needs it")?;
        }
    }
    if needs.is_empty() {
        writeln!(out, "nothing needs a key other than the first")?;
    }
    Ok(())
}
