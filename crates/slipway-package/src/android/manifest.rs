//! Values of a manifest.

/// Values of `AndroidManifest.xml`. Texts and flags may refer to the resource table.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    pub(super) package: String,
    pub(super) split: Option<String>,
    pub(super) version_code: Option<u32>,
    pub(super) version_code_major: Option<u32>,
    pub(super) version_name: Option<Text>,
    pub(super) min_sdk: Option<u32>,
    pub(super) target_sdk: Option<u32>,
    pub(super) label: Option<Text>,
    pub(super) icon: Option<u32>,
    pub(super) debuggable: Flag,
    pub(super) test_only: Flag,
}

/// Text, or the resource that contains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Literal(String),
    Resource(u32),
}

/// Flag, or the resource that contains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    Literal(bool),
    Resource(u32),
}

impl Default for Flag {
    fn default() -> Self {
        Self::Literal(false)
    }
}

impl Manifest {
    /// Combines the two numbers as Android's `getLongVersionCode` does.
    pub(super) fn long_version_code(&self) -> Option<u64> {
        if self.version_code.is_none() && self.version_code_major.is_none() {
            return None;
        }
        let major = u64::from(self.version_code_major.unwrap_or(0));
        Some(major << 32 | u64::from(self.version_code.unwrap_or(0)))
    }
}
