//! Facts that a stored file states about itself, as pages show them.

use super::format::{bytes, count};
use super::texts::Texts;
use slipway_domain::catalog::artifact::{
    ApkFacts, ArtifactFacts, HapFacts, SigningFacts, SigningScheme, ZipFacts,
};
use slipway_domain::catalog::text::Sha256;

pub(super) struct Fact {
    pub(super) label: &'static str,
    pub(super) values: Vec<String>,
    /// `true` for names and digests.
    pub(super) is_code: bool,
}

impl Fact {
    fn text(label: &'static str, value: impl Into<String>) -> Self {
        Self {
            label,
            values: vec![value.into()],
            is_code: false,
        }
    }

    fn codes(label: &'static str, values: impl IntoIterator<Item = String>) -> Self {
        Self {
            label,
            values: values.into_iter().collect(),
            is_code: true,
        }
    }
}

/// Returns the facts of a file; none for a file of an unknown kind.
pub(super) fn facts_of(t: &Texts, facts: &ArtifactFacts) -> Vec<Fact> {
    let mut shown = match facts {
        ArtifactFacts::Apk(apk) => apk_facts(t, apk),
        ArtifactFacts::Hap(hap) => hap_facts(t, hap),
        ArtifactFacts::Zip(zip) => zip_facts(t, *zip),
        ArtifactFacts::Other => Vec::new(),
    };
    shown.retain(|fact| fact.values.iter().any(|value| !value.is_empty()));
    shown
}

fn apk_facts(t: &Texts, apk: &ApkFacts) -> Vec<Fact> {
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    let version_code = apk.version_code.map(|code| code.to_string());
    let abis = if apk.abis.is_empty() {
        t.any.to_owned()
    } else {
        apk.abis.join(", ")
    };
    let mut facts = vec![
        Fact::codes(t.package_name, [apk.package_name.clone()]),
        Fact::text(t.version_name, optional(&apk.version_name)),
        Fact::text(t.version_code, version_code.unwrap_or_default()),
        Fact::text(t.app_label, optional(&apk.label)),
        Fact::text(t.split_name, optional(&apk.split)),
        Fact::text(t.min_sdk, apk.min_sdk.to_string()),
        Fact::text(t.target_sdk, apk.target_sdk.to_string()),
        Fact::text(t.abis, abis),
    ];
    facts.extend(signing_facts(t, &apk.signing));
    facts
}

fn signing_facts(t: &Texts, signing: &SigningFacts) -> [Fact; 3] {
    let digests = |digests: &[Sha256]| -> Vec<String> {
        digests.iter().map(|digest| digest.as_str().to_owned()).collect()
    };
    let schemes: Vec<_> = signing.schemes.iter().map(|scheme| scheme.as_str()).collect();
    [
        Fact::text(t.schemes, schemes.join(", ")),
        Fact::codes(t.signers, digests(&signing.signers)),
        Fact::codes(t.earlier_signers, digests(&signing.lineage)),
    ]
}

fn hap_facts(t: &Texts, hap: &HapFacts) -> Vec<Fact> {
    vec![
        Fact::codes(t.package_name, [hap.bundle_name.clone()]),
        Fact::text(t.version_name, hap.version_name.clone()),
        Fact::text(t.version_code, hap.version_code.to_string()),
        Fact::text(t.device_types, hap.device_types.join(", ")),
    ]
}

fn zip_facts(t: &Texts, zip: ZipFacts) -> Vec<Fact> {
    let unpacked = i64::try_from(zip.unpacked_bytes).unwrap_or(i64::MAX);
    vec![
        Fact::text(t.entries, count(zip.entries)),
        Fact::text(t.unpacked_size, bytes(unpacked)),
    ]
}

/// Returns the reasons for which a file should not be published as it is.
pub(super) fn warnings_of(t: &Texts, facts: &ArtifactFacts) -> Vec<&'static str> {
    let Some(apk) = facts.apk() else {
        return Vec::new();
    };
    let schemes = &apk.signing.schemes;
    let warnings = [
        (apk.debuggable, t.warn_debuggable),
        (apk.test_only, t.warn_test_only),
        (schemes.is_empty(), t.warn_unsigned),
        (schemes.as_slice() == [SigningScheme::V1], t.warn_v1_only),
        (apk.split.is_some(), t.warn_split),
    ];
    let given = warnings.into_iter().filter(|(is_given, _)| *is_given);
    given.map(|(_, text)| text).collect()
}
