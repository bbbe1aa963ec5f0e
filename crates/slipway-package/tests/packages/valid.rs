//! Facts of valid files.

use std::sync::LazyLock;

use slipway_package::{ApkFacts, CertificateDigest, Inspection, Limits, SigningScheme, inspect};
use slipway_package_maker::samples::{PACKAGE, Sample, samples};
use slipway_package_maker::{TestKey, icon};

use crate::meter::inspect_metered;

static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(samples);

fn inspect_sample(name: &str) -> Inspection {
    let sample = SAMPLES.iter().find(|sample| sample.name == name).unwrap();
    inspect_metered(name, &sample.bytes).unwrap()
}

fn apk(name: &str) -> ApkFacts {
    match inspect_sample(name) {
        Inspection::Apk(facts) => *facts,
        other => panic!("{name} is {other:?}"),
    }
}

fn digests(keys: &[TestKey]) -> Vec<CertificateDigest> {
    let keys = keys.iter();
    keys.map(|key| CertificateDigest(key.certificate_digest()))
        .collect()
}

#[test]
fn a_plain_apk_has_all_facts() {
    let facts = apk("plain.apk");
    assert_eq!(facts.package_name, PACKAGE);
    assert_eq!(facts.version_code, Some(42));
    assert_eq!(facts.version_name.as_deref(), Some("1.4.2"));
    assert_eq!((facts.min_sdk, facts.target_sdk), (21, 34));
    assert_eq!(facts.label.as_deref(), Some("Sample"));
    assert_eq!(facts.abis, Vec::<String>::new());
    assert_eq!(facts.icon, None);
    assert_eq!(
        (facts.debuggable, facts.test_only, facts.split),
        (false, false, None)
    );
    assert_eq!(facts.signing.schemes, [SigningScheme::V2, SigningScheme::V3]);
    assert_eq!(facts.signing.signers, digests(&[TestKey::App]));
    assert_eq!(facts.signing.lineage, []);
    assert!(facts.signing.is_verified);
}

#[test]
fn labels_icons_and_abis_are_read_from_the_resources() {
    let facts = apk("chinese.apk");
    assert_eq!(facts.label.as_deref(), Some("Shelf"));
    assert_eq!(facts.labels["zh"], "货架");
    assert_eq!(facts.labels["zh-TW"], "貨架");
    assert_eq!(facts.labels.len(), 2);
    assert_eq!(facts.abis, ["arm64-v8a", "armeabi-v7a"]);
    let found = facts.icon.unwrap();
    assert_eq!(found.media_type, "image/png");
    assert_eq!(
        found.bytes,
        icon([40, 40, 200]),
        "the icon of the highest density"
    );
    assert_eq!(apk("chinese-literal.apk").label.as_deref(), Some("测试应用"));
}

#[test]
fn the_major_version_code_is_the_upper_half() {
    assert_eq!(apk("version-code-major.apk").version_code, Some((3 << 32) + 42));
}

#[test]
fn unsafe_packages_are_told() {
    assert!(apk("debuggable.apk").debuggable);
    assert!(apk("test-only.apk").test_only);
}

#[test]
fn signers_are_those_of_the_newest_scheme() {
    let two = apk("two-signers.apk").signing;
    assert_eq!(two.schemes, [SigningScheme::V2]);
    assert_eq!(two.signers, digests(&[TestKey::App, TestKey::Elliptic]));
    assert_eq!(
        apk("other-signer.apk").signing.signers,
        digests(&[TestKey::Other])
    );
    assert_eq!(apk("elliptic.apk").signing.signers, digests(&[TestKey::Elliptic]));
    let all = apk("all-schemes.apk").signing;
    assert_eq!(
        all.schemes,
        [SigningScheme::V1, SigningScheme::V2, SigningScheme::V3]
    );
}

#[test]
fn a_rotated_key_shows_its_predecessor() {
    let signing = apk("rotated.apk").signing;
    assert_eq!(signing.signers, digests(&[TestKey::Rotated]));
    assert_eq!(signing.lineage, digests(&[TestKey::App]));
}

#[test]
fn v1_certificates_are_not_verified() {
    let signing = apk("v1-only.apk").signing;
    assert_eq!(signing.schemes, [SigningScheme::V1]);
    assert_eq!(signing.signers, digests(&[TestKey::App]));
    assert!(!signing.is_verified);
    let unsigned = apk("unsigned.apk").signing;
    assert_eq!(
        (
            unsigned.schemes.len(),
            unsigned.signers.len(),
            unsigned.is_verified
        ),
        (0, 0, false)
    );
}

#[test]
fn content_of_several_chunks_is_verified() {
    assert!(apk("large.apk").signing.is_verified);
}

#[test]
fn a_hap_has_the_facts_of_its_module() {
    let Inspection::Hap(facts) = inspect_sample("sample.hap") else {
        panic!("it is a HAP");
    };
    assert_eq!(facts.bundle_name, "com.example.shelf");
    assert_eq!(
        (facts.version_code, facts.version_name.as_str()),
        (1_000_003, "1.0.3")
    );
    assert_eq!(facts.device_types, ["phone", "tablet"]);
}

#[test]
fn facts_have_the_names_of_the_api() {
    let json = serde_json::to_value(inspect_sample("version-code-major.apk")).unwrap();
    assert_eq!(json["kind"], "apk");
    assert_eq!(json["version_code"], 12_884_901_930_u64);
    assert_eq!(json["schemes"], serde_json::json!(["v2", "v3"]));
    assert_eq!(json["signers"][0].as_str().unwrap().len(), 64);
}

#[test]
fn every_limit_is_enforced() {
    let sample = samples()
        .into_iter()
        .find(|sample| sample.name == "chinese.apk")
        .unwrap();
    let refuses = |limits: Limits| {
        inspect(std::io::Cursor::new(&sample.bytes), &limits)
            .unwrap_err()
            .to_string()
    };
    let usual = Limits::default();
    let refusals = [
        refuses(Limits {
            file_bytes: 100,
            ..usual
        }),
        refuses(Limits { entries: 3, ..usual }),
        refuses(Limits {
            directory_bytes: 100,
            ..usual
        }),
        refuses(Limits {
            unpacked_bytes: 100,
            ..usual
        }),
        refuses(Limits {
            manifest_bytes: 100,
            ..usual
        }),
        refuses(Limits {
            signature_bytes: 100,
            ..usual
        }),
    ];
    assert!(
        refusals
            .iter()
            .all(|reason| reason.contains("exceed the limit of")),
        "{refusals:#?}"
    );
    assert!(
        refuses(Limits {
            xml_depth: 1,
            ..usual
        })
        .contains("nested deeper than 1")
    );
}

#[test]
fn a_table_or_an_image_over_its_limit_is_absent() {
    let sample = samples()
        .into_iter()
        .find(|sample| sample.name == "chinese.apk")
        .unwrap();
    let facts = |limits: Limits| match inspect(std::io::Cursor::new(&sample.bytes), &limits).unwrap() {
        Inspection::Apk(facts) => facts,
        other => panic!("{other:?}"),
    };
    let small_table = facts(Limits {
        resources_bytes: 100,
        ..Limits::default()
    });
    assert_eq!(
        (small_table.label.clone(), small_table.icon.clone()),
        (None, None)
    );
    let small_icon = facts(Limits {
        icon_bytes: 10,
        ..Limits::default()
    });
    assert_eq!(
        (small_icon.label.as_deref(), small_icon.icon.clone()),
        (Some("Shelf"), None)
    );
}
