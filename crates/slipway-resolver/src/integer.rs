//! Integers that are sent as digits.

/// Parses digits. Leading zeros are allowed, a sign is not.
pub(super) fn integer_from_digits(text: &str) -> Option<i64> {
    let digits = text.trim();
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}
