//! Names of the members of a closed list.

use super::field::Invalid;

/// Returns the member of `all` with the name `text`. The error lists the accepted names.
pub(super) fn parse_name<T: Copy>(all: &[T], name: fn(T) -> &'static str, text: &str) -> Result<T, Invalid> {
    all.iter()
        .copied()
        .find(|item| name(*item) == text)
        .ok_or_else(|| {
            let accepted: Vec<_> = all.iter().map(|item| name(*item)).collect();
            Invalid::new(format!("must be one of {}", accepted.join(", ")))
        })
}
