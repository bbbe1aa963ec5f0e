//! Errors of an inspection.

use std::borrow::Cow;
use std::fmt;
use std::io;

/// Part of a file that an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The file as a whole.
    File,
    /// The ZIP container.
    Container,
    /// `AndroidManifest.xml`.
    AndroidManifest,
    /// `resources.arsc`.
    Resources,
    /// The signatures of an APK.
    Signature,
    /// `module.json`.
    HapModule,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Container => "ZIP container",
            Self::AndroidManifest => "AndroidManifest.xml",
            Self::Resources => "resources.arsc",
            Self::Signature => "signature",
            Self::HapModule => "module.json",
        })
    }
}

/// Reason why a file has no facts.
#[derive(Debug, thiserror::Error)]
pub enum InspectionError {
    /// The reader failed. The file itself may be valid.
    #[error("the file cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The file is damaged, contradicts itself, or exceeds a limit.
    #[error("{part}: {reason}")]
    Invalid { part: Part, reason: String },
}

/// Defect of a structure, without the part of the file that contains it.
#[derive(Debug)]
pub(crate) struct Flaw(Cow<'static, str>);

impl Flaw {
    /// A structure that ends after the bytes which contain it.
    pub(crate) const CUT_OFF: Self = Self(Cow::Borrowed("a structure is cut off"));

    /// Adds the part of the file that has the defect.
    pub(crate) fn of(self, part: Part) -> InspectionError {
        InspectionError::Invalid {
            part,
            reason: self.0.into_owned(),
        }
    }
}

impl From<&'static str> for Flaw {
    fn from(reason: &'static str) -> Self {
        Self(Cow::Borrowed(reason))
    }
}

impl From<String> for Flaw {
    fn from(reason: String) -> Self {
        Self(Cow::Owned(reason))
    }
}

/// Builds the error for a part of the file.
pub(crate) fn invalid(part: Part, reason: impl Into<Flaw>) -> InspectionError {
    reason.into().of(part)
}

/// Longest text of a file that a message quotes, in characters.
const LONGEST_QUOTE: usize = 80;

/// Returns a text of the file for a message: shortened, on one line, without control characters.
pub(crate) fn quote(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text.get(..4 * LONGEST_QUOTE).unwrap_or(text));
    let short: String = text.chars().take(LONGEST_QUOTE).collect();
    format!("{short:?}")
}
