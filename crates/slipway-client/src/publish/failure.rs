//! Reasons for which nothing was published.

use std::process::ExitCode;

/// Failure of `slipway publish`, one for each exit code.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// The server refused it, or the file cannot be published.
    Refused(String),
    /// The arguments are invalid or incomplete.
    Usage(String),
    /// The server or the address of the file did not answer, after retries.
    Unreachable(String),
}

impl Failure {
    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
        })
    }

    pub(super) fn message(&self) -> &str {
        match self {
            Self::Refused(message) | Self::Usage(message) | Self::Unreachable(message) => message,
        }
    }

    /// Adds a sentence to the message.
    pub(super) fn with_note(self, note: &str) -> Self {
        let join = |message: String| format!("{message}; {note}");
        match self {
            Self::Refused(message) => Self::Refused(join(message)),
            Self::Usage(message) => Self::Usage(join(message)),
            Self::Unreachable(message) => Self::Unreachable(join(message)),
        }
    }

    /// Returns the failure of this process itself, such as output that cannot be written.
    pub(super) fn local(error: impl std::fmt::Display) -> Self {
        Self::Refused(format!("{error:#}"))
    }
}
