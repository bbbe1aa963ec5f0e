//! Signatures of APKs.

pub(crate) mod block;
pub(crate) mod lineage;
pub(crate) mod signer;
pub(crate) mod v1;

use crate::key::TestKey;
use crate::zip::{Entry, Parts};

use block::{V2, V3, content_digest, encode};
use signer::Signer;

/// Signatures that an APK gets.
#[derive(Clone, Debug)]
pub struct Signing {
    pub v1: Option<TestKey>,
    /// Signers of the v2 scheme.
    pub v2: Vec<TestKey>,
    /// Keys of the v3 scheme: the current one is the last, and each has signed its successor.
    pub v3: Vec<TestKey>,
}

impl Signing {
    /// Signs with the v2 and the v3 scheme.
    pub fn of(key: TestKey) -> Self {
        Self {
            v1: None,
            v2: vec![key],
            v3: vec![key],
        }
    }

    /// Signs with two keys. The v3 scheme has one signer for a version of Android, so there is only v2.
    pub fn with_two_signers(first: TestKey, second: TestKey) -> Self {
        Self {
            v1: None,
            v2: vec![first, second],
            v3: Vec::new(),
        }
    }

    /// Signs with a new key that an old one has signed. Android before version 9 sees the old key.
    pub fn rotated(old: TestKey, new: TestKey) -> Self {
        Self {
            v1: None,
            v2: vec![old],
            v3: vec![old, new],
        }
    }

    /// Signs with the v1 scheme only.
    pub fn v1_only(key: TestKey) -> Self {
        Self {
            v1: Some(key),
            v2: Vec::new(),
            v3: Vec::new(),
        }
    }

    /// Writes a container with its signatures.
    pub(crate) fn apply(&self, mut entries: Vec<Entry>) -> Vec<u8> {
        if let Some(key) = self.v1 {
            let signature = v1::sign(&entries, key, &self.newer_schemes());
            entries.extend(signature);
        }
        let parts = Parts::new(&entries);
        if self.v2.is_empty() && self.v3.is_empty() {
            return parts.join(&[]);
        }
        let digest = content_digest(&parts);
        parts.join(&encode(&self.pairs(&digest)))
    }

    fn newer_schemes(&self) -> String {
        let schemes = [("2", !self.v2.is_empty()), ("3", !self.v3.is_empty())];
        let present: Vec<_> = schemes.iter().filter(|(_, is_present)| *is_present).collect();
        present
            .iter()
            .map(|(scheme, _)| *scheme)
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn pairs(&self, digest: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let mut pairs = Vec::new();
        if !self.v2.is_empty() {
            let has_v3 = !self.v3.is_empty();
            let signers: Vec<_> = self
                .v2
                .iter()
                .map(|key| Signer::v2(*key, digest, has_v3))
                .collect();
            pairs.push((V2, signer::encode_all(&signers)));
        }
        if !self.v3.is_empty() {
            pairs.push((V3, signer::encode_all(&[Signer::v3(&self.v3, digest)])));
        }
        pairs
    }
}
