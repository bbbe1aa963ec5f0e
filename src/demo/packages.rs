//! Packages of the sample catalog: small APKs that install on Android. They were made by `slipway-package-maker`, which
//! is not part of the program; a test compares them with what it makes.

/// File of the sample catalog.
pub struct DemoPackage {
    pub identifier: &'static str,
    pub version_code: u32,
    pub bytes: &'static [u8],
}

/// Package that the printed commands publish.
pub const NEW_RELEASE: DemoPackage = DemoPackage {
    identifier: "com.freshmart.handheld.receiving",
    version_code: 43,
    bytes: include_bytes!("packages/receiving-43.apk"),
};

/// Packages of releases that the catalog has from the start.
pub const RELEASED: [DemoPackage; 4] = [
    DemoPackage {
        identifier: "com.freshmart.handheld",
        version_code: 120,
        bytes: include_bytes!("packages/handheld-120.apk"),
    },
    DemoPackage {
        identifier: "com.freshmart.handheld",
        version_code: 121,
        bytes: include_bytes!("packages/handheld-121.apk"),
    },
    DemoPackage {
        identifier: "com.freshmart.handheld.receiving",
        version_code: 41,
        bytes: include_bytes!("packages/receiving-41.apk"),
    },
    DemoPackage {
        identifier: "com.freshmart.handheld.receiving",
        version_code: 42,
        bytes: include_bytes!("packages/receiving-42.apk"),
    },
];

impl DemoPackage {
    /// Returns the name of the file.
    pub fn filename(&self) -> String {
        let name = self.identifier.rsplit('.').next().unwrap_or(self.identifier);
        format!("{name}-{}.apk", self.version_code)
    }
}
