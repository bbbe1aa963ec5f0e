//! HarmonyOS packages.

use crate::zip::{Entry, write};

/// HarmonyOS package to make.
#[derive(Clone, Debug)]
pub struct Hap {
    pub bundle_name: String,
    pub version_code: u64,
    pub version_name: String,
    pub device_types: Vec<String>,
}

impl Hap {
    /// Makes the file. It has no signature.
    pub fn file(&self) -> Vec<u8> {
        write(&[
            Entry::deflated("module.json", self.module().as_bytes()),
            Entry::deflated("pack.info", b"{}"),
            Entry::stored("ets/modules.abc", b"PANDA\0\0\0"),
        ])
    }

    fn module(&self) -> String {
        let types: Vec<_> = self.device_types.iter().map(|name| format!("{name:?}")).collect();
        format!(
            r#"{{"app":{{"bundleName":{:?},"vendor":"example","versionCode":{},"versionName":{:?},"icon":"$media:icon",
            "label":"$string:app_name","minAPIVersion":40000010,"targetAPIVersion":50000012,"apiReleaseType":"Release"}},
            "module":{{"name":"entry","type":"entry","mainElement":"EntryAbility","deviceTypes":[{}],
            "deliveryWithInstall":true,"abilities":[]}}}}"#,
            self.bundle_name,
            self.version_code,
            self.version_name,
            types.join(",")
        )
    }
}
