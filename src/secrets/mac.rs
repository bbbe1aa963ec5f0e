//! Proof that bytes were written by a holder of the installation's key: HMAC-SHA256.

use aws_lc_rs::{constant_time, hmac};

/// Bytes of a tag.
pub const TAG_BYTES: usize = 32;

/// Makes tags and verifies them.
pub struct MacKey(hmac::Key);

impl MacKey {
    pub(super) fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The tag of these parts, one behind the other. Where one part ends must follow from the parts themselves.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    /// Whether this is the tag of these parts; compared in constant time.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&self.tag(parts), tag).is_ok()
    }
}
