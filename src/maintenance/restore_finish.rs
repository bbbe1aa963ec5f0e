//! `slipway restore-finish`: the remaining steps after the database was restored from a backup.

use std::io::Write;

use clap::Args;

use crate::app;
use crate::clock::Clock;
use crate::config::Config;
use crate::services::restore::{self, CredentialSummary};
use crate::storage::Durability;

#[derive(Args)]
pub struct RestoreFinishCommand {
    /// Require a one-time code from devices that enrol again; the device key of their tenant is then not enough.
    #[arg(long)]
    guard_devices: bool,
    #[command(flatten)]
    config: Config,
}

/// Runs the command and prints its results to `out`.
pub async fn run(
    command: &RestoreFinishCommand,
    clock: &dyn Clock,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    let db = app::open_existing_database(&command.config, Durability::Full).await?;
    let report = restore::finish(&db, command.guard_devices, clock.now()).await?;
    writeln!(out, "sessions ended: {}", report.sessions)?;
    writeln!(
        out,
        "one-time enrolment codes deleted: {}",
        report.enrolment_codes
    )?;
    writeln!(
        out,
        "device tokens ended: {} (all up to generation {})",
        report.device_tokens, report.generation
    )?;
    let credentials = restore::list_credentials(&db).await?;
    writeln!(
        out,
        "\nThe restored database accepts these credentials. Delete, disable or rotate those that were deleted, \
         disabled or rotated after the backup:"
    )?;
    writeln!(
        out,
        "kind\ttenant\tid\tname\trole\tcreated_by\tcreated_at\tlast_used_on\texpires_at"
    )?;
    for credential in &credentials {
        writeln!(out, "{}", line(credential))?;
    }
    Ok(())
}

fn line(credential: &CredentialSummary) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let instant = |instant: chrono::DateTime<chrono::Utc>| instant.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    [
        credential.kind.to_owned(),
        or_dash(credential.tenant.map(|tenant| tenant.to_string())),
        credential.id.clone(),
        // A name is a single line but may contain a tab.
        credential.name.replace('\t', " "),
        credential.role.to_owned(),
        or_dash(credential.created_by.clone()).replace('\t', " "),
        instant(credential.created_at),
        or_dash(credential.last_used_on.map(|day| day.to_string())),
        or_dash(credential.expires_at.map(instant)),
    ]
    .join("\t")
}
