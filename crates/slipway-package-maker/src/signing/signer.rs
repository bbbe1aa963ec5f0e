//! Signers of the schemes v2 and v3.

use super::lineage;
use crate::key::TestKey;
use crate::little_endian::{Bytes, sequence};

const STRIPPING_PROTECTION: u32 = 0xbeef_f00d;
const PROOF_OF_ROTATION: u32 = 0x3ba0_6f8c;

/// Android 9, the first version that supports v3.
const FIRST_V3_SDK: u32 = 28;
const LAST_SDK: u32 = 0x7fff_ffff;

/// Signer before it is encoded. Each part can be falsified.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    pub(crate) signed_data: Vec<u8>,
    /// Range of Android versions; `None` for v2.
    pub(crate) sdk_range: Option<(u32, u32)>,
    pub(crate) signatures: Vec<(u32, Vec<u8>)>,
    pub(crate) public_key: Vec<u8>,
}

/// Data that a signer signs.
#[derive(Clone, Debug)]
pub(crate) struct SignedData {
    pub(crate) digests: Vec<(u32, Vec<u8>)>,
    pub(crate) certificate: Vec<u8>,
    pub(crate) sdk_range: Option<(u32, u32)>,
    pub(crate) attributes: Vec<(u32, Vec<u8>)>,
}

impl SignedData {
    pub(crate) fn v2(key: TestKey, digest: &[u8]) -> Self {
        Self {
            digests: vec![(key.algorithm(), digest.to_vec())],
            certificate: key.certificate().to_vec(),
            sdk_range: None,
            attributes: Vec::new(),
        }
    }

    pub(crate) fn v3(keys: &[TestKey], digest: &[u8]) -> Self {
        let mut data = Self::v2(*keys.last().unwrap(), digest);
        data.sdk_range = Some((FIRST_V3_SDK, LAST_SDK));
        if keys.len() > 1 {
            data.attributes.push((PROOF_OF_ROTATION, lineage::encode(keys)));
        }
        data
    }

    fn encode(&self) -> Vec<u8> {
        let bytes = Bytes::default()
            .prefixed(&sequence(&algorithm_pairs(&self.digests)))
            .prefixed(&sequence(&[&self.certificate]));
        let bytes = with_sdk_range(bytes, self.sdk_range);
        let attributes = self.attributes.iter();
        let attributes: Vec<_> = attributes
            .map(|(id, value)| Bytes::default().u32(*id).bytes(value).0)
            .collect();
        bytes.prefixed(&sequence(&attributes)).0
    }

    /// Signs the data with a key, which also gives the algorithm.
    pub(crate) fn sign(&self, key: TestKey) -> Signer {
        let signed_data = self.encode();
        Signer {
            sdk_range: self.sdk_range,
            signatures: vec![(key.algorithm(), key.sign(&signed_data))],
            public_key: key.public_key(),
            signed_data,
        }
    }
}

impl Signer {
    pub(crate) fn v2(key: TestKey, digest: &[u8], has_v3: bool) -> Self {
        let mut data = SignedData::v2(key, digest);
        if has_v3 {
            data.attributes
                .push((STRIPPING_PROTECTION, 3_u32.to_le_bytes().to_vec()));
        }
        data.sign(key)
    }

    pub(crate) fn v3(keys: &[TestKey], digest: &[u8]) -> Self {
        SignedData::v3(keys, digest).sign(*keys.last().unwrap())
    }

    fn encode(&self) -> Vec<u8> {
        let bytes = Bytes::default().prefixed(&self.signed_data);
        let bytes = with_sdk_range(bytes, self.sdk_range);
        bytes
            .prefixed(&sequence(&algorithm_pairs(&self.signatures)))
            .prefixed(&self.public_key)
            .0
    }
}

/// Encodes the value of a scheme.
pub(crate) fn encode_all(signers: &[Signer]) -> Vec<u8> {
    let signers: Vec<_> = signers.iter().map(Signer::encode).collect();
    Bytes::default().prefixed(&sequence(&signers)).0
}

fn algorithm_pairs(pairs: &[(u32, Vec<u8>)]) -> Vec<Vec<u8>> {
    let pairs = pairs.iter();
    pairs
        .map(|(id, bytes)| Bytes::default().u32(*id).prefixed(bytes).0)
        .collect()
}

fn with_sdk_range(bytes: Bytes, range: Option<(u32, u32)>) -> Bytes {
    match range {
        Some((first, last)) => bytes.u32(first).u32(last),
        None => bytes,
    }
}
