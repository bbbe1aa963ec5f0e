//! Gates of a publication: they refuse what is likely a mistake, until the caller decides.

use serde::Serialize;

use super::ServiceError;
use super::audit::{self, AuditedChange, ReleaseOfApp};
use super::release_files::find_artifact;
use super::transition_context::TransitionContext;
use crate::storage::releases::{PUBLISHED_OR_PAUSED, find_newest};
use slipway_domain::catalog::artifact::{ApkFacts, Artifact, ArtifactFacts, SigningScheme};
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::release::{Release, ReleaseRecord};
use slipway_domain::catalog::text::{Sha256, VersionName};
use slipway_domain::catalog::version::VersionCode;

/// Gates that the caller overrides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PublishOverrides {
    /// Publish even if version names contradict the version codes.
    pub version_names: bool,
    /// Publish an APK that is signed with another key than the newest release.
    pub signer_change: bool,
    /// Publish an APK that is debuggable, for tests only, or without a v2 or v3 signature.
    pub unsafe_package: bool,
}

/// Stored facts that the gates compare a draft with.
pub(super) struct PublicationFacts<'a> {
    /// Code and name of a release whose version name contradicts the order of the version codes.
    pub(super) contradicting: Option<(VersionCode, VersionName)>,
    /// Artifact that is the file of the draft.
    pub(super) artifact: Option<&'a Artifact>,
}

/// Signers of an APK, in the audit.
#[derive(Serialize)]
struct Signers<'a> {
    version_code: VersionCode,
    signers: &'a [Sha256],
}

impl<'a> Signers<'a> {
    fn of(version_code: VersionCode, facts: &'a ApkFacts) -> Self {
        Self {
            version_code,
            signers: &facts.signing.signers,
        }
    }
}

/// Reasons for which an APK is unsafe, in the audit.
#[derive(Serialize)]
struct Unsafe<'a> {
    version_code: VersionCode,
    reasons: &'a [&'static str],
}

impl TransitionContext<'_> {
    /// Requires that a draft may be published. Overrides that were needed for its file are audited.
    pub(super) async fn require_publishable(
        &self,
        draft: &ReleaseRecord,
        facts: PublicationFacts<'_>,
        overrides: PublishOverrides,
    ) -> Result<(), ServiceError> {
        if !overrides.version_names {
            require_consistent_name(&draft.release, facts.contradicting)?;
        }
        match facts.artifact {
            Some(artifact) => self.require_publishable_file(draft, artifact, overrides).await,
            None => Ok(()),
        }
    }

    async fn require_publishable_file(
        &self,
        draft: &ReleaseRecord,
        artifact: &Artifact,
        overrides: PublishOverrides,
    ) -> Result<(), ServiceError> {
        self.require_address()?;
        if artifact.damage.is_some() {
            return Err(ServiceError::wrong_state(
                "the stored file of the artifact is damaged or missing; upload the file again",
            ));
        }
        if let ArtifactFacts::Apk(facts) = &artifact.facts {
            self.require_safe(draft, facts, overrides)?;
            self.require_known_signer(draft, facts, overrides).await?;
        }
        Ok(())
    }

    fn require_address(&self) -> Result<(), ServiceError> {
        if self.ctx.download_urls().has_base() {
            return Ok(());
        }
        Err(ServiceError::wrong_state(
            "the server has no address for downloads; set SLIPWAY_PUBLIC_URL (or SLIPWAY_DOWNLOAD_URL) and restart it",
        ))
    }

    fn require_safe(
        &self,
        draft: &ReleaseRecord,
        facts: &ApkFacts,
        overrides: PublishOverrides,
    ) -> Result<(), ServiceError> {
        let reasons = reasons_against(facts);
        if reasons.is_empty() {
            return Ok(());
        }
        if !overrides.unsafe_package {
            return Err(ServiceError::UnsafePackage(format!(
                "the APK {}; publish a release build, or publish with \"accept_unsafe_package\": true",
                reasons.join(" and ")
            )));
        }
        let details = Unsafe {
            version_code: draft.release.content.version_code,
            reasons: &reasons,
        };
        let change = self
            .accepted(AuditAction::ReleaseAcceptUnsafePackage, draft)
            .with_after(&details);
        self.audit(change);
        Ok(())
    }

    /// Requires that an APK shares a signer with the newest published or paused release, if that is an APK too. An
    /// external file has no known signer.
    async fn require_known_signer(
        &self,
        draft: &ReleaseRecord,
        facts: &ApkFacts,
        overrides: PublishOverrides,
    ) -> Result<(), ServiceError> {
        let release = &draft.release;
        let (app, identifier) = (release.app_id, &release.identifier);
        let newest = find_newest(self.tx, self.tx.scope(), app, identifier, PUBLISHED_OR_PAUSED).await?;
        let Some(newest) = newest.map(|stored| stored.value.release) else {
            return Ok(());
        };
        let Some(sha256) = &newest.content.file.artifact else {
            return Ok(());
        };
        let artifact = find_artifact(self.tx, self.tx.scope(), sha256).await?;
        let ArtifactFacts::Apk(known) = &artifact.facts else {
            return Ok(());
        };
        if is_update_of(facts, known) {
            return Ok(());
        }
        let (old, new) = (newest.content.version_code, release.content.version_code);
        if !overrides.signer_change {
            return Err(ServiceError::SignerChanged(format!(
                "version {new} is signed by {}, but version {old} by {}; Android refuses such an update. Sign it with \
                 the same key, or publish with \"accept_signer_change\": true",
                in_words(&facts.signing.signers),
                in_words(&known.signing.signers)
            )));
        }
        let change = self
            .accepted(AuditAction::ReleaseAcceptSignerChange, draft)
            .with_before(&Signers::of(old, known))
            .with_after(&Signers::of(new, facts));
        self.audit(change);
        Ok(())
    }

    fn accepted(&self, action: AuditAction, draft: &ReleaseRecord) -> AuditedChange {
        let release = ReleaseOfApp {
            app: &self.app.package_name,
            record: draft,
        };
        AuditedChange::new(action, audit::Audited::audited_id(&release))
    }
}

/// Fails if a version name contradicts the order of the version codes. People read names, so that this is likely a
/// mistake.
fn require_consistent_name(
    release: &Release,
    contradicting: Option<(VersionCode, VersionName)>,
) -> Result<(), ServiceError> {
    let (own_code, own_name) = (release.content.version_code, &release.content.version_name);
    match contradicting {
        Some((code, name)) => Err(ServiceError::VersionConflict(format!(
            "version_name {own_name} of version {own_code} contradicts {name} of version {code}; correct it, or publish \
             with \"force\": true"
        ))),
        None => Ok(()),
    }
}

/// Returns the reasons for which an APK must not reach devices without a decision.
fn reasons_against(facts: &ApkFacts) -> Vec<&'static str> {
    [
        (!has_verified_signature(facts), "has no v2 or v3 signature"),
        (facts.debuggable, "is debuggable"),
        (facts.test_only, "is for tests only"),
    ]
    .into_iter()
    .filter_map(|(holds, reason)| holds.then_some(reason))
    .collect()
}

/// Returns `true` if the file has a signature that was verified. Signers of a v1 signature are only what it claims.
fn has_verified_signature(facts: &ApkFacts) -> bool {
    let schemes = &facts.signing.schemes;
    schemes.contains(&SigningScheme::V2) || schemes.contains(&SigningScheme::V3)
}

/// Returns `true` if one of the verified keys of the new APK signed the known one: a current key, or one that it rotated
/// from.
fn is_update_of(new: &ApkFacts, known: &ApkFacts) -> bool {
    if !has_verified_signature(new) {
        return false;
    }
    let keys = new.signing.signers.iter().chain(&new.signing.lineage);
    let mut shared = keys.filter(|key| known.signing.signers.contains(key));
    shared.next().is_some()
}

fn in_words(signers: &[Sha256]) -> String {
    if signers.is_empty() {
        return "nobody".to_owned();
    }
    let digests: Vec<_> = signers.iter().map(Sha256::as_str).collect();
    digests.join(" and ")
}
