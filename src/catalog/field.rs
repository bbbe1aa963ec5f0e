//! What is wrong with one field of a request.

/// One field that cannot be accepted, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field as the caller wrote it, e.g. `org_scopes[2].l1Code`.
    pub field: String,
    pub code: FieldErrorCode,
    /// What was wrong and what is accepted.
    pub message: String,
}

/// The kinds of mistakes that a program may want to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldErrorCode {
    /// The field must be given.
    Required,
    /// The value is not one of those accepted.
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

/// Why a single value is refused; becomes a [`FieldError`] once the field's name is known.
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
