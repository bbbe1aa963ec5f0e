//! `slipway publish`: uploads files, creates their releases and publishes them. Pipelines run it.
//!
//! A repetition is a success that changes nothing: the server recognizes files by their digests, and releases by their
//! versions.

mod addresses;
mod arguments;
mod attempt;
mod calls;
mod external;
mod failure;
mod local_file;
mod output;
mod release;
mod transfer;
mod upload;

use std::process::ExitCode;

use serde_json::Value;

use reqwest::Url;

pub use self::arguments::PublishCommand;
use self::calls::Server;
use self::failure::Failure;
use self::local_file::LocalFile;
use self::output::{Output, Published};
use self::release::ReleasePlan;

/// Publishes the files. The exit code is 0 if it was done, 1 if the server or a check refused it, 2 for invalid arguments,
/// and 3 if the server cannot be reached.
pub async fn run(command: &PublishCommand) -> anyhow::Result<ExitCode> {
    let url = command.url.as_deref().map(addresses::external).transpose();
    let secret = url
        .as_ref()
        .ok()
        .and_then(Option::as_ref)
        .and_then(addresses::secret_part);
    let output = Output::new(command.json, secret.map(str::to_owned));
    let done = async { publish(command, url?.as_ref(), &output).await };
    match done.await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(failure) => {
            output.fail(&failure);
            Ok(failure.exit_code())
        }
    }
}

async fn publish(command: &PublishCommand, url: Option<&Url>, output: &Output) -> Result<(), Failure> {
    let notes = command.read_notes()?;
    let server = (!command.dry_run).then(|| server_of(command)).transpose()?;
    let files = read_files(command, url, output).await?;
    let plans = release::plan(command, &files, notes.as_deref())?;
    let Some(server) = server else {
        return output.show_plans(&plans);
    };
    for plan in &plans {
        if let Some(file) = plan.upload {
            upload::upload(&server, file, output).await?;
        }
    }
    let published = send(&server, command, &plans).await?;
    output.show_published(&published)
}

fn server_of(command: &PublishCommand) -> Result<Server, Failure> {
    match (&command.server, &command.token) {
        (Some(url), Some(token)) => {
            Server::new(addresses::server(url)?, token, command.tenant, command.retries)
        }
        _ => Err(Failure::Usage(
            "SLIPWAY_URL and SLIPWAY_TOKEN are required".to_owned(),
        )),
    }
}

/// Reads the files of the command line, or the one at an external address.
async fn read_files(
    command: &PublishCommand,
    url: Option<&Url>,
    output: &Output,
) -> Result<Vec<LocalFile>, Failure> {
    let mut files = Vec::new();
    if let Some(url) = url {
        files.push(external::download(url, command.retries, output).await?);
    }
    for given in &command.files {
        files.push(LocalFile::read(given).await?);
    }
    for file in &files {
        output.show_file(file)?;
    }
    Ok(files)
}

/// Creates the releases and publishes them. Several are published together or not at all.
async fn send(
    server: &Server,
    command: &PublishCommand,
    plans: &[ReleasePlan<'_>],
) -> Result<Vec<Published>, Failure> {
    // A limit is compared with a draft that exists before that is published.
    let has_limit = command.rollout.is_some() || !command.scopes.is_empty();
    if let [plan] = plans
        && (command.draft || !has_limit)
    {
        return Ok(vec![
            server
                .create_release(plan, !command.draft, command.overrides())
                .await?,
        ]);
    }
    let mut created = Vec::new();
    let done = send_together(server, command, plans, &mut created).await;
    let Err(failure) = done else {
        return Ok(created);
    };
    if !matches!(failure, Failure::Refused(_)) {
        // The server does not answer. The next run finds the drafts.
        return Err(failure);
    }
    // A draft that stays would block the corrected file of the same version.
    let remaining = server.discard_new(&created).await;
    if remaining.is_empty() {
        return Err(failure);
    }
    Err(failure.with_note(&format!(
        "the drafts of {} could not be discarded",
        remaining.join(", ")
    )))
}

async fn send_together(
    server: &Server,
    command: &PublishCommand,
    plans: &[ReleasePlan<'_>],
    created: &mut Vec<Published>,
) -> Result<(), Failure> {
    for plan in plans {
        created.push(server.create_release(plan, false, command.overrides()).await?);
    }
    if command.draft {
        return Ok(());
    }
    if let Some(draft) = created.iter().find(|created| has_another_limit(created)) {
        return Err(Failure::Refused(format!(
            "the draft {} exists with another rollout or scope; change or discard it first",
            draft.id()
        )));
    }
    server.publish_together(created, command.overrides()).await
}

/// Returns `true` for a draft that existed and reaches other devices than requested.
fn has_another_limit(created: &Published) -> bool {
    let is_limit = |field: &Value| field == "rollout" || field == "org_scopes";
    let ignored = created.release["ignored"].as_array();
    created.release["state"] == "draft" && ignored.is_some_and(|fields| fields.iter().any(is_limit))
}
