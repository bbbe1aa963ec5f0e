//! Proof of rotation.

use crate::key::TestKey;
use crate::little_endian::Bytes;

/// All capabilities of an earlier key, as apksigner grants them. Among others, apps signed with the key accept the
/// update.
const CAPABILITIES: u32 = 0x17;

/// Encodes keys, each of which signs its successor.
pub(crate) fn encode(keys: &[TestKey]) -> Vec<u8> {
    let signers: Vec<_> = keys.iter().map(|key| Some(*key)).collect();
    encode_signed_by(keys, &signers)
}

/// Encodes keys. The key at index `n + 1` is signed by the signer at index `n`, which may be false.
pub(crate) fn encode_signed_by(keys: &[TestKey], signers: &[Option<TestKey>]) -> Vec<u8> {
    let mut bytes = Bytes::default().u32(1);
    for (index, key) in keys.iter().enumerate() {
        let previous = index
            .checked_sub(1)
            .map(|previous| (keys[previous], signers[previous]));
        let algorithm = previous.map_or(0, |(key, _)| key.algorithm());
        let signed = Bytes::default().prefixed(key.certificate()).u32(algorithm).0;
        let signature = previous
            .and_then(|(_, signer)| signer)
            .map(|signer| signer.sign(&signed));
        let is_last = index + 1 == keys.len();
        let node = Bytes::default()
            .prefixed(&signed)
            .u32(CAPABILITIES)
            .u32(if is_last { 0 } else { key.algorithm() })
            .prefixed(&signature.unwrap_or_default());
        bytes = bytes.prefixed(&node.0);
    }
    bytes.0
}
