//! Hostile HAPs.

use super::{HostileFile, kind, refused};
use crate::zip::{Entry, write};

pub(super) fn files() -> Vec<HostileFile> {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let app = |app: &str| {
        with_module(&format!(
            r#"{{"app":{{{app}}},"module":{{"deviceTypes":["phone"]}}}}"#
        ))
    };
    let types = vec![r#""phone""#; 1000].join(",");
    vec![
        kind("module-is-not-json.hap", "zip", with_module("bundleName")),
        kind("module-is-nested.hap", "zip", with_module(&nested)),
        kind(
            "module-of-another-format.hap",
            "zip",
            with_module(r#"{"app":"x"}"#),
        ),
        kind(
            "two-bundle-names.hap",
            "zip",
            app(r#""bundleName":"a.b","bundleName":"c.d","versionCode":1,"versionName":"1""#),
        ),
        refused(
            "bundle-name-is-a-path.hap",
            "is not a bundle name",
            app(r#""bundleName":"../../etc","versionCode":1,"versionName":"1""#),
        ),
        refused(
            "version-code-is-text.hap",
            "invalid type",
            app(r#""bundleName":"a.b","versionCode":"1","versionName":"1""#),
        ),
        refused(
            "version-code-is-negative.hap",
            "invalid value",
            app(r#""bundleName":"a.b","versionCode":-1,"versionName":"1""#),
        ),
        refused(
            "version-code-is-absent.hap",
            "missing field",
            app(r#""bundleName":"a.b""#),
        ),
        refused(
            "too-many-device-types.hap",
            "deviceTypes",
            with_module(&format!(
                r#"{{"app":{{"bundleName":"a.b","versionCode":1,"versionName":"1"}},"module":{{"deviceTypes":[{types}]}}}}"#
            )),
        ),
    ]
}

fn with_module(text: &str) -> Vec<u8> {
    write(&[Entry::deflated("module.json", text.as_bytes())])
}
