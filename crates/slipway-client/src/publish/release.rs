//! Releases to create: what the files state, completed by the arguments.

use serde_json::{Value, json};

use super::arguments::PublishCommand;
use super::failure::Failure;
use super::local_file::LocalFile;

/// Release to create.
pub(super) struct ReleasePlan<'a> {
    pub(super) app: String,
    /// Fields of the request.
    pub(super) fields: Value,
    /// File that must be uploaded first; `None` for an external file.
    pub(super) upload: Option<&'a LocalFile>,
}

/// Plans a release for each file. Fails if an argument is missing, or contradicts a file.
pub(super) fn plan<'a>(
    command: &PublishCommand,
    files: &'a [LocalFile],
    notes: Option<&str>,
) -> Result<Vec<ReleasePlan<'a>>, Failure> {
    if files.len() > 1 && command.identifier.is_some() {
        return Err(Failure::Usage(
            "--identifier is for one file; give each file as IDENTIFIER=PATH".to_owned(),
        ));
    }
    let identifiers: Vec<_> = files
        .iter()
        .map(|file| identifier(command, file))
        .collect::<Result<_, _>>()?;
    for (index, identifier) in identifiers.iter().enumerate() {
        if identifiers[..index].contains(identifier) {
            return Err(Failure::Usage(format!(
                "two of the files have the identifier {identifier}"
            )));
        }
    }
    let app = command
        .app
        .as_deref()
        .or(identifiers.first().copied())
        .unwrap_or_default();
    files
        .iter()
        .zip(&identifiers)
        .map(|(file, identifier)| {
            Ok(ReleasePlan {
                app: app.to_owned(),
                fields: fields(command, file, identifier, notes)?,
                upload: Some(file).filter(|file| file.external.is_none()),
            })
        })
        .collect()
}

fn identifier<'a>(command: &'a PublishCommand, file: &'a LocalFile) -> Result<&'a str, Failure> {
    let given = file.identifier.as_deref().or(command.identifier.as_deref());
    let package = file.package().map(|package| package.name);
    given
        .or(package)
        .ok_or_else(|| missing(file, "identifier; give --identifier or IDENTIFIER=PATH"))
}

fn fields(
    command: &PublishCommand,
    file: &LocalFile,
    identifier: &str,
    notes: Option<&str>,
) -> Result<Value, Failure> {
    let mut fields = json!({
        "identifier": identifier,
        "version_code": version_code(command, file)?,
    });
    fields["version_name"] = json!(version_name(command, file)?);
    match &file.external {
        Some(external) => {
            fields["download_url"] = json!(external.url.as_str());
            fields["size"] = json!(file.size);
            fields["md5"] = json!(file.md5);
            fields["sha256"] = json!(file.sha256_hex());
        }
        None => fields["artifact"] = json!(file.sha256_hex()),
    }
    if let Some(notes) = notes {
        fields["update_desc"] = json!(notes);
    }
    if !command.scopes.is_empty() {
        fields["org_scopes"] = json!(command.scopes);
    }
    if let Some(percent) = command.rollout {
        fields["rollout"] = json!({"percent": percent, "unit": command.unit.as_deref().unwrap_or("device")});
    }
    Ok(fields)
}

/// Returns the version name. The argument is for the only file, or for those of several that state none.
fn version_name<'a>(command: &'a PublishCommand, file: &'a LocalFile) -> Result<&'a str, Failure> {
    let stated = file.package().and_then(|package| package.version_name);
    let given = command.version_name.as_deref();
    let name = if command.files.len() > 1 {
        stated.or(given)
    } else {
        given.or(stated)
    };
    name.ok_or_else(|| missing(file, "version name; give --version-name"))
}

/// Returns the version code of the file. The argument is for the only file, which must not contradict it, or for those of
/// several that state none.
fn version_code(command: &PublishCommand, file: &LocalFile) -> Result<u64, Failure> {
    let stated = file.package().and_then(|package| package.version_code);
    let given = command.version_code.map(i64::unsigned_abs);
    match (stated, given) {
        (Some(stated), Some(given)) if stated != given && command.files.len() < 2 => {
            Err(Failure::Refused(format!(
                "{}: --version-code is {given}, but the file has {stated}",
                file.filename
            )))
        }
        (Some(code), _) | (None, Some(code)) => Ok(code),
        (None, None) => Err(missing(file, "version code; give --version-code")),
    }
}

fn missing(file: &LocalFile, what: &str) -> Failure {
    Failure::Usage(format!("{} states no {what}", file.filename))
}
