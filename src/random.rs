//! Randomness: the only source of ids, secrets and random waits.

use aws_lc_rs::error::Unspecified;
use uuid::Uuid;

/// Generates an id. Later ids of this process sort after earlier ones, whatever a test's clock says.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn id<I: From<Uuid>>() -> I {
    Uuid::now_v7().into()
}

/// Generates a random UUID, which does not show when it was generated.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn uuid() -> Uuid {
    Uuid::new_v4()
}

/// Returns a random number from 0 to 1.
pub(crate) fn fraction() -> f64 {
    f64::from(uuid().as_fields().0) / f64::from(u32::MAX)
}

/// Fills a secret with random bytes.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn fill(secret: &mut [u8]) -> Result<(), Unspecified> {
    aws_lc_rs::rand::fill(secret)
}
