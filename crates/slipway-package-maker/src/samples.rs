//! Valid packages, one for each fact that a reader must find.

use crate::apk::{Apk, Label};
use crate::hap::Hap;
use crate::icon::icon;
use crate::key::TestKey;
use crate::signing::Signing;

/// Package name of the samples.
pub const PACKAGE: &str = "com.example.sample";

/// Valid file.
#[derive(Clone, Debug)]
pub struct Sample {
    pub name: &'static str,
    pub bytes: Vec<u8>,
}

/// Describes the plain app that the others vary.
pub fn plain() -> Apk {
    Apk::new(PACKAGE, 42, "1.4.2")
}

/// Describes an app with names in two languages and with icons.
pub fn chinese() -> Apk {
    let mut apk = plain();
    apk.label = Label::Resource(vec![
        ("", "Shelf".to_owned()),
        ("zh", "货架".to_owned()),
        ("zh-TW", "貨架".to_owned()),
    ]);
    apk.icons = Some([icon([200, 40, 40]), icon([40, 40, 200])]);
    apk.abis = vec!["armeabi-v7a", "arm64-v8a"];
    apk
}

/// Describes a HarmonyOS package.
pub fn hap() -> Hap {
    Hap {
        bundle_name: "com.example.shelf".to_owned(),
        version_code: 1_000_003,
        version_name: "1.0.3".to_owned(),
        device_types: vec!["phone".to_owned(), "tablet".to_owned()],
    }
}

/// Makes all samples.
pub fn samples() -> Vec<Sample> {
    let usual = Signing::of(TestKey::App);
    let sample = |name, bytes| Sample { name, bytes };
    vec![
        sample("plain.apk", plain().signed(&usual)),
        sample("chinese.apk", chinese().signed(&usual)),
        sample("chinese-literal.apk", chinese_literal().signed(&usual)),
        sample(
            "two-signers.apk",
            plain().signed(&Signing::with_two_signers(TestKey::App, TestKey::Elliptic)),
        ),
        sample(
            "rotated.apk",
            plain().signed(&Signing::rotated(TestKey::App, TestKey::Rotated)),
        ),
        sample("other-signer.apk", plain().signed(&Signing::of(TestKey::Other))),
        sample("elliptic.apk", plain().signed(&Signing::of(TestKey::Elliptic))),
        sample("all-schemes.apk", chinese().signed(&all_schemes())),
        sample("v1-only.apk", plain().signed(&Signing::v1_only(TestKey::App))),
        sample("unsigned.apk", plain().unsigned()),
        sample("debuggable.apk", debuggable().signed(&usual)),
        sample("test-only.apk", test_only().signed(&usual)),
        sample("version-code-major.apk", version_code_major().signed(&usual)),
        sample("large.apk", large().signed(&usual)),
        sample("sample.hap", hap().file()),
    ]
}

fn chinese_literal() -> Apk {
    let mut apk = plain();
    apk.label = Label::Literal("测试应用".to_owned());
    apk
}

fn all_schemes() -> Signing {
    Signing {
        v1: Some(TestKey::App),
        ..Signing::of(TestKey::App)
    }
}

fn debuggable() -> Apk {
    let mut apk = plain();
    apk.debuggable = true;
    apk
}

fn test_only() -> Apk {
    let mut apk = plain();
    apk.test_only = true;
    apk
}

fn version_code_major() -> Apk {
    Apk::new(PACKAGE, (3 << 32) + 42, "3.0")
}

/// Describes an app of several chunks of 1 MiB.
fn large() -> Apk {
    let mut apk = plain();
    apk.filler = 3_500_000;
    apk
}
