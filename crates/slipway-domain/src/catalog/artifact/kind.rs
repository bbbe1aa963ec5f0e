use super::super::closed_list::parse_name;
use super::super::field::Invalid;

/// Kind of a file, detected from its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtifactKind {
    /// Android package.
    Apk,
    /// HarmonyOS package.
    Hap,
    Zip,
    Other,
}

impl ArtifactKind {
    pub const ALL: [Self; 4] = [Self::Apk, Self::Hap, Self::Zip, Self::Other];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apk => "apk",
            Self::Hap => "hap",
            Self::Zip => "zip",
            Self::Other => "other",
        }
    }

    pub fn parse(text: &str) -> Result<Self, Invalid> {
        parse_name(&Self::ALL, Self::as_str, text)
    }

    /// Returns the media type of downloads. HAP has none of its own.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Apk => "application/vnd.android.package-archive",
            Self::Zip => "application/zip",
            Self::Hap | Self::Other => "application/octet-stream",
        }
    }

    /// Returns the extension of the name of a file that was uploaded without one.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Apk => "apk",
            Self::Hap => "hap",
            Self::Zip => "zip",
            Self::Other => "bin",
        }
    }
}
