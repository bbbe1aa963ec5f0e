//! Errors in a field of a request.

use std::borrow::Cow;

/// Maximum number of characters of a caller's text that an answer, a log line or an audit entry repeats.
pub const MAX_ECHO_CHARACTERS: usize = 128;

/// Returns the text, or its beginning with `…` if it is too long to be repeated to a caller.
pub fn excerpt(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_ECHO_CHARACTERS || text.chars().nth(MAX_ECHO_CHARACTERS).is_none() {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().take(MAX_ECHO_CHARACTERS - 1);
    Cow::Owned(kept.chain(['…']).collect())
}

/// Invalid field, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field as the caller wrote it, e.g. `org_scopes[2].l1Code`.
    pub field: String,
    pub code: FieldErrorCode,
    /// Description of the error and of the accepted values.
    pub message: String,
}

/// Kind of error, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldErrorCode {
    /// The field is missing.
    Required,
    /// The value is not accepted.
    Invalid,
    /// The request has no such field.
    Unknown,
}

impl FieldErrorCode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown",
        }
    }
}

impl FieldError {
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            code: FieldErrorCode::Invalid,
            message: message.into(),
        }
    }

    pub fn required(field: impl Into<String>) -> Self {
        let field = field.into();
        let message = format!("{field} is required");
        Self {
            field,
            code: FieldErrorCode::Required,
            message,
        }
    }
}

/// Reason for rejecting a single value. Becomes a [`FieldError`] once the name of the field is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Invalid {
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    pub fn at(self, field: impl Into<String>) -> FieldError {
        FieldError::invalid(field, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_texts_are_cut() {
        for whole in ["", "a", &"x".repeat(128), &"店".repeat(128)] {
            assert_eq!(excerpt(whole), whole);
        }
        let cut = excerpt(&"店".repeat(129)).into_owned();
        assert_eq!((cut.chars().count(), cut.chars().last()), (128, Some('…')));
    }
}
