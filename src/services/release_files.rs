//! Files of releases: the facts of an artifact, and the gate that no release contradicts its artifact.

use std::fmt::Display;

use super::ServiceError;
use super::error::require_valid;
use crate::storage::{Reader, artifacts};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::artifact::{ApkFacts, Artifact};
use slipway_domain::catalog::download_urls::DownloadUrls;
use slipway_domain::catalog::field::FieldError;
use slipway_domain::catalog::min_sdk::MinSdk;
use slipway_domain::catalog::release::Release;
use slipway_domain::catalog::release_content::ReleaseChanges;
use slipway_domain::catalog::text::{Identifier, Md5, Sha256, VersionName};
use slipway_domain::catalog::version::VersionCode;

/// Resource of a release, read in the transaction that changes it or previews it.
pub(super) struct ResourceOfApp<'a, R> {
    pub(super) reader: &'a R,
    pub(super) scope: TenantScope,
    pub(super) app: &'a App,
    pub(super) identifier: &'a Identifier,
}

impl<R: Reader> ResourceOfApp<'_, R> {
    /// Returns the fields of a new release, completed by its artifact, and the artifact if it has one. `given` has every
    /// required field that an artifact does not supply.
    pub(super) async fn complete(
        &self,
        mut given: ReleaseChanges,
    ) -> Result<(ReleaseChanges, Option<Artifact>), ServiceError> {
        self.require_external(&given).await?;
        let Some(sha256) = given.new_artifact().cloned() else {
            return Ok((given, None));
        };
        let artifact = find_artifact(self.reader, self.scope, &sha256).await?;
        let version = given.version_code.unwrap_or(VersionCode::NOT_INSTALLED);
        self.require_agreement(&artifact, &given, version)?;
        supply(&artifact, &mut given);
        if given.version_name.is_none() {
            return Err(ServiceError::Invalid(vec![FieldError::required("version_name")]));
        }
        Ok((given, Some(artifact)))
    }

    /// Applies the changes of a caller to a release, which may get an artifact, keep it or lose it.
    pub(super) async fn apply(
        &self,
        mut given: ReleaseChanges,
        release: &mut Release,
    ) -> Result<(), ServiceError> {
        self.require_external(&given).await?;
        let before = release.content.file.artifact.clone();
        let after = match given.new_artifact() {
            Some(new) => Some(new.clone()),
            None if given.download_url.is_some() => None,
            None => before.clone(),
        };
        match &after {
            Some(sha256) if states_facts(&given) => {
                let artifact = find_artifact(self.reader, self.scope, sha256).await?;
                let version = given.version_code.unwrap_or(release.content.version_code);
                self.require_agreement(&artifact, &given, version)?;
                if before != after {
                    supply(&artifact, &mut given);
                    release.artifact = Some((&artifact).into());
                }
            }
            None if before.is_some() => {
                given.artifact = Some(None);
                given.min_sdk = Some(None);
                release.artifact = None;
            }
            Some(_) | None => {}
        }
        given.apply_to(&mut release.content);
        Ok(())
    }

    /// Requires that a given address is not one of an artifact. A release that had it as an external file would not keep
    /// the artifact from being deleted.
    async fn require_external(&self, given: &ReleaseChanges) -> Result<(), ServiceError> {
        let Some(url) = given.download_url.as_ref().and_then(Option::as_ref) else {
            return Ok(());
        };
        // The server has the file on each of its hosts, not only on the one in addresses.
        let is_artifact = match DownloadUrls::key_in(url) {
            Some(key) => artifacts::find_by_key(self.reader, &key).await?.is_some(),
            None => false,
        };
        if is_artifact {
            return Err(ServiceError::invalid(
                "download_url",
                "is the address of an artifact; give its SHA-256 as artifact instead",
            ));
        }
        Ok(())
    }

    /// Requires that the given facts and the version are those of the file, and that the file of an app is the app.
    fn require_agreement(
        &self,
        artifact: &Artifact,
        given: &ReleaseChanges,
        version: VersionCode,
    ) -> Result<(), ServiceError> {
        let package = artifact.facts.package();
        let package_name = package.map(|package| package.package_name);
        let package_name = package_name.filter(|_| self.app.is_itself(self.identifier));
        let version_code = package.and_then(|package| package.version_code);
        let is_version = |code: &u64| u64::try_from(version.get()) == Ok(*code);
        let sha256 = given
            .sha256
            .as_ref()
            .map(|sha256| sha256.as_ref().map_or("", Sha256::as_str));
        let disagreements = [
            disagreement("identifier", Some(self.identifier.as_str()), package_name),
            version_code
                .filter(|code| !is_version(code))
                .map(|code| disagree("version_code", version, code)),
            disagreement("size", given.size, Some(artifact.size)),
            disagreement(
                "md5",
                given.md5.as_ref().map(Md5::as_str),
                Some(artifact.md5.as_str()),
            ),
            disagreement("sha256", sha256, Some(artifact.sha256.as_str())),
        ];
        require_valid(disagreements.into_iter().flatten().collect())
    }
}

/// Finds an artifact of the tenant. Another tenant's is absent too.
pub(super) async fn find_artifact(
    reader: &impl Reader,
    scope: TenantScope,
    sha256: &Sha256,
) -> Result<Artifact, ServiceError> {
    let found = artifacts::find(reader, scope, sha256).await?;
    let absent = || {
        ServiceError::invalid(
            "artifact",
            "is not an artifact of this tenant; upload the file first",
        )
    };
    Ok(found.ok_or_else(absent)?.value)
}

/// Returns `true` if the changes contain facts that an artifact must confirm.
fn states_facts(given: &ReleaseChanges) -> bool {
    given.artifact.is_some()
        || given.version_code.is_some()
        || given.size.is_some()
        || given.md5.is_some()
        || given.sha256.is_some()
}

/// Completes changes with the facts of their new artifact.
fn supply(artifact: &Artifact, changes: &mut ReleaseChanges) {
    changes.download_url = Some(None);
    changes.artifact = Some(Some(artifact.sha256.clone()));
    changes.size = Some(artifact.size);
    changes.md5 = Some(artifact.md5.clone());
    changes.sha256 = Some(Some(artifact.sha256.clone()));
    changes.min_sdk = Some(artifact.facts.apk().and_then(min_sdk_of));
    if changes.version_name.is_none() {
        let name = artifact.facts.package().and_then(|package| package.version_name);
        changes.version_name = name.and_then(|name| VersionName::parse(name).ok());
    }
}

fn min_sdk_of(facts: &ApkFacts) -> Option<MinSdk> {
    MinSdk::of_file(facts.min_sdk)
}

/// Returns an error if a field was given and the file has another value.
fn disagreement<T: Display + PartialEq>(
    field: &str,
    given: Option<T>,
    file: Option<T>,
) -> Option<FieldError> {
    let (given, file) = given.zip(file)?;
    (given != file).then(|| disagree(field, given, file))
}

fn disagree(field: &str, given: impl Display, file: impl Display) -> FieldError {
    FieldError::invalid(
        field,
        format!("is {given}, but the file of the artifact has {file}"),
    )
}
