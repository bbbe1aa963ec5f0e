//! Random tags that distinguish one state of a row from every other.

use crate::random;

/// Returns 64 random bits as 16 lower-case hexadecimal digits.
pub(super) fn random_tag() -> String {
    let (high, low) = random::uuid().as_u64_pair();
    // Each half has fixed bits at different positions, so that every bit of the combination is random.
    format!("{:016x}", high ^ low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_sixteen_hex_digits_and_differ() {
        let (one, other) = (random_tag(), random_tag());
        assert!(one.len() == 16 && one.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        assert_ne!(one, other);
    }
}
