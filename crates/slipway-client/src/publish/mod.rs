//! `slipway publish`: uploads files, creates their releases and publishes them. Pipelines run it.
//!
//! A repetition is a success that changes nothing: the server recognizes files by their digests, and releases by their
//! versions.

mod arguments;
mod calls;
mod external;
mod failure;
mod local_file;
mod output;
mod release;
mod upload;

use std::process::ExitCode;

pub use self::arguments::PublishCommand;
use self::calls::Server;
use self::failure::Failure;
use self::local_file::LocalFile;
use self::output::{Output, Published};
use self::release::ReleasePlan;

/// Publishes the files. The exit code is 0 if it was done, 1 if the server or a check refused it, 2 for invalid arguments,
/// and 3 if the server cannot be reached.
pub async fn run(command: &PublishCommand) -> anyhow::Result<ExitCode> {
    let output = Output::new(command.json);
    match publish(command, &output).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(failure) => {
            output.fail(&failure);
            Ok(failure.exit_code())
        }
    }
}

async fn publish(command: &PublishCommand, output: &Output) -> Result<(), Failure> {
    let notes = command.read_notes()?;
    let files = read_files(command, output).await?;
    let plans = release::plan(command, &files, notes.as_deref())?;
    if command.dry_run {
        return output.show_plans(&plans);
    }
    let server = server_of(command)?;
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
        (Some(url), Some(token)) => Server::new(url.clone(), token.clone(), command.tenant, command.retries),
        _ => Err(Failure::Usage(
            "SLIPWAY_URL and SLIPWAY_TOKEN are required".to_owned(),
        )),
    }
}

/// Reads the files of the command line, or the one at an external address.
async fn read_files(command: &PublishCommand, output: &Output) -> Result<Vec<LocalFile>, Failure> {
    let mut files = Vec::new();
    if let Some(url) = &command.url {
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
    if let [plan] = plans {
        return Ok(vec![
            server
                .create_release(plan, !command.draft, command.overrides())
                .await?,
        ]);
    }
    let mut created = Vec::new();
    let done = send_together(server, command, plans, &mut created).await;
    if let Err(Failure::Refused(_)) = &done {
        // A draft that stays would block the corrected file of the same version.
        server.discard_new(&created).await;
    }
    done?;
    Ok(created)
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
    server.publish_together(created, command.overrides()).await
}
