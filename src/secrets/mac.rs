//! HMAC-SHA256 tags, which prove that bytes were written by a holder of the installation's key.

use aws_lc_rs::{constant_time, hmac};

/// Size of a tag in bytes.
pub const TAG_BYTES: usize = 32;

/// Key that makes and verifies tags.
pub struct MacKey(hmac::Key);

impl MacKey {
    pub(super) fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Returns the tag of the concatenated parts. The end of each part must follow from the parts themselves.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    /// Returns `true` if this is the tag of these parts. Compares in constant time.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(&self.tag(parts), tag).is_ok()
    }
}
