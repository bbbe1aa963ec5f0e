//! Hostile signatures.

use super::{HostileFile, kind, refused};
use crate::key::TestKey;
use crate::little_endian::Bytes;
use crate::samples;
use crate::signing::block::{V2, V3, content_digest, encode, with_size};
use crate::signing::lineage;
use crate::signing::signer::{SignedData, Signer, encode_all};
use crate::signing::{Signing, v1};
use crate::zip::{Entry, Parts};

const DAMAGED: &str = "signing block is damaged";

pub(super) fn files() -> Vec<HostileFile> {
    [contents(), impostors(), lineages(), blocks(), older_schemes()].concat()
}

fn parts() -> Parts {
    Parts::new(&samples::plain().entries())
}

/// Makes an APK with one pair in its signing block.
fn with_signers(id: u32, signers: impl Fn(&[u8]) -> Vec<Signer>) -> Vec<u8> {
    let parts = parts();
    let signers = signers(&content_digest(&parts));
    parts.join(&encode(&[(id, encode_all(&signers))]))
}

fn v2(change: impl Fn(&mut Signer)) -> Vec<u8> {
    with_signers(V2, |digest| {
        let mut signer = Signer::v2(TestKey::App, digest, false);
        change(&mut signer);
        vec![signer]
    })
}

/// Content that is not the signed one.
fn contents() -> Vec<HostileFile> {
    let changed = "changed since it was signed";
    let signed = samples::plain().signed(&Signing::of(TestKey::App));
    let mut apk = samples::plain();
    "1.4.3".clone_into(&mut apk.version_name);
    let other = Parts::new(&apk.entries());
    let block = encode(&[(
        V2,
        encode_all(&[Signer::v2(TestKey::App, &content_digest(&parts()), false)]),
    )]);
    let mut time = signed.clone();
    // The time of the first entry, in both headers: no reader compares it.
    time[10] ^= 1;
    vec![
        refused("block-of-another-apk.apk", changed, other.join(&block)),
        refused("changed-time.apk", changed, time),
        refused(
            "false-digest.apk",
            changed,
            with_signers(V2, |_| vec![Signer::v2(TestKey::App, &[7; 32], false)]),
        ),
        refused(
            "digests-disagree.apk",
            "different digests",
            with_signers(V2, |digest| {
                vec![
                    Signer::v2(TestKey::App, digest, false),
                    Signer::v2(TestKey::Other, &[7; 32], false),
                ]
            }),
        ),
    ]
}

/// Signers that present somebody else's certificate.
fn impostors() -> Vec<HostileFile> {
    let not_signed = "not made by the key";
    let stolen = |digest: &[u8]| {
        let mut data = SignedData::v2(TestKey::Other, digest);
        data.certificate = TestKey::App.certificate().to_vec();
        data
    };
    vec![
        refused(
            "stolen-certificate.apk",
            "not that of the certificate",
            with_signers(V2, |digest| vec![stolen(digest).sign(TestKey::Other)]),
        ),
        refused(
            "stolen-certificate-and-key.apk",
            not_signed,
            with_signers(V2, |digest| {
                let mut signer = stolen(digest).sign(TestKey::Other);
                signer.public_key = TestKey::App.public_key();
                vec![signer]
            }),
        ),
        refused(
            "signature-of-zeros.apk",
            not_signed,
            v2(|signer| signer.signatures[0].1.fill(0)),
        ),
        refused(
            "signature-is-empty.apk",
            not_signed,
            v2(|signer| signer.signatures[0].1.clear()),
        ),
        refused(
            "signature-of-other-algorithm.apk",
            "different algorithms",
            v2(|signer| signer.signatures[0].0 = 0x0104),
        ),
        refused(
            "no-signature.apk",
            "different algorithms",
            v2(|signer| signer.signatures.clear()),
        ),
        refused(
            "unknown-algorithm.apk",
            "none of its algorithms",
            algorithm(0x0301),
        ),
        refused(
            "algorithm-of-another-key.apk",
            "does not fit its key",
            algorithm(0x0201),
        ),
        refused("no-signer.apk", "no signer", with_signers(V2, |_| Vec::new())),
        refused(
            "eleven-signers.apk",
            "too many signers",
            with_signers(V2, |digest| vec![Signer::v2(TestKey::App, digest, false); 11]),
        ),
        refused(
            "certificate-is-cut-off.apk",
            "cut off",
            with_signers(V2, |digest| {
                let mut data = SignedData::v2(TestKey::App, digest);
                data.certificate.truncate(200);
                vec![data.sign(TestKey::App)]
            }),
        ),
        refused(
            "signer-added.apk",
            "not in the lineage",
            with_signers(V3, |digest| {
                let mut added = SignedData::v3(&[TestKey::Other], digest);
                added.sdk_range = Some((0x7fff_ffff, 0x7fff_ffff));
                vec![Signer::v3(&[TestKey::App], digest), added.sign(TestKey::Other)]
            }),
        ),
        refused(
            "range-is-not-signed.apk",
            "not the signed one",
            with_signers(V3, |digest| {
                let mut signer = Signer::v3(&[TestKey::App], digest);
                signer.sdk_range = Some((1, 2));
                vec![signer]
            }),
        ),
    ]
}

/// Signs with an algorithm that the key does not have.
fn algorithm(id: u32) -> Vec<u8> {
    with_signers(V2, |digest| {
        let mut data = SignedData::v2(TestKey::App, digest);
        data.digests[0].0 = id;
        let mut signer = data.sign(TestKey::App);
        signer.signatures[0].0 = id;
        vec![signer]
    })
}

fn lineages() -> Vec<HostileFile> {
    let forged = |keys: &'static [TestKey], signers: &'static [Option<TestKey>], signer: TestKey| {
        with_signers(V3, |digest| {
            let mut data = SignedData::v3(&[signer], digest);
            data.attributes
                .push((0x3ba0_6f8c, lineage::encode_signed_by(keys, signers)));
            vec![data.sign(signer)]
        })
    };
    vec![
        refused(
            "forged-lineage.apk",
            "not made by the key",
            forged(
                &[TestKey::App, TestKey::Other],
                &[Some(TestKey::Other), None],
                TestKey::Other,
            ),
        ),
        refused(
            "unsigned-lineage.apk",
            "not made by the key",
            forged(&[TestKey::App, TestKey::Other], &[None, None], TestKey::Other),
        ),
        refused(
            "lineage-of-somebody-else.apk",
            "does not end with",
            forged(
                &[TestKey::App, TestKey::Rotated],
                &[Some(TestKey::App), None],
                TestKey::Other,
            ),
        ),
        refused(
            "lineage-in-a-circle.apk",
            "one twice",
            forged(
                &[TestKey::App, TestKey::Rotated, TestKey::App],
                &[Some(TestKey::App), Some(TestKey::Rotated), None],
                TestKey::App,
            ),
        ),
        refused(
            "lineage-is-empty.apk",
            "does not end with",
            forged(&[], &[], TestKey::Other),
        ),
    ]
}

/// Signing blocks with a false structure.
fn blocks() -> Vec<HostileFile> {
    let parts = parts();
    let pair = |length: u64| Bytes::default().u64(length).u32(1).0;
    let with_pairs = |pairs: &[u8]| parts.join(&with_size(pairs, u64::try_from(pairs.len()).unwrap() + 24));
    let signer = (
        V2,
        encode_all(&[Signer::v2(TestKey::App, &content_digest(&parts), false)]),
    );
    let mut uneven = encode(std::slice::from_ref(&signer));
    uneven[0] ^= 1;
    let padding: Vec<_> = (0..100_000).map(|_| (1, Vec::new())).collect();
    vec![
        refused("block-sizes-disagree.apk", DAMAGED, parts.join(&uneven)),
        refused(
            "block-larger-than-file.apk",
            DAMAGED,
            parts.join(&with_size(&[], 1 << 40)),
        ),
        refused(
            "block-size-overflows.apk",
            DAMAGED,
            parts.join(&with_size(&[], u64::MAX)),
        ),
        refused(
            "block-over-entries.apk",
            DAMAGED,
            parts.join(&with_size(&[], 100)),
        ),
        refused("block-of-no-size.apk", DAMAGED, parts.join(&with_size(&[], 0))),
        refused("pair-of-no-length.apk", DAMAGED, with_pairs(&pair(0))),
        refused("pair-beyond-block.apk", DAMAGED, with_pairs(&pair(1 << 20))),
        refused("pair-overflows.apk", DAMAGED, with_pairs(&pair(u64::MAX))),
        refused(
            "signature-twice.apk",
            "there twice",
            parts.join(&encode(&[signer.clone(), signer])),
        ),
        refused(
            "100000-pairs.apk",
            "too many values",
            parts.join(&encode(&padding)),
        ),
        refused(
            "signature-of-2-mb.apk",
            "exceed the limit",
            parts.join(&encode(&[(V2, vec![0; 2 << 20])])),
        ),
        refused(
            "signature-is-empty-value.apk",
            "cut off",
            parts.join(&encode(&[(V2, Vec::new())])),
        ),
        refused(
            "signature-is-noise.apk",
            "cut off",
            parts.join(&encode(&[(V3, vec![0xff; 1000])])),
        ),
    ]
}

/// Files from which a newer signature was removed, or that copy an older one.
fn older_schemes() -> Vec<HostileFile> {
    let stripped_v3 = with_signers(V2, |digest| vec![Signer::v2(TestKey::App, digest, true)]);
    let mut stripped_v2 = samples::plain().entries();
    stripped_v2.extend(v1::sign(&stripped_v2, TestKey::App, "2, 3"));
    let victim = samples::plain().entries();
    let mut copied = vec![Entry::deflated(
        "AndroidManifest.xml",
        &crate::Apk::new("com.evil.app", 1, "1").manifest(),
    )];
    copied.extend(v1::sign(&victim, TestKey::App, ""));
    let mut garbled = samples::plain().entries();
    garbled.push(Entry::stored("META-INF/CERT.SF", b"Signature-Version: 1.0\r\n"));
    garbled.push(Entry::stored("META-INF/CERT.RSA", b"\x30\x84\xff\xff\xff\xff"));
    let mut many = samples::plain().entries();
    many.extend((0..11).map(|index| Entry::stored(&format!("META-INF/{index}.RSA"), b"")));
    vec![
        refused("v3-was-removed.apk", "has been removed", stripped_v3),
        refused(
            "v2-was-removed.apk",
            "has been removed",
            crate::zip::write(&stripped_v2),
        ),
        refused("v1-is-garbled.apk", "cut off", crate::zip::write(&garbled)),
        refused(
            "eleven-v1-signers.apk",
            "too many v1 signers",
            crate::zip::write(&many),
        ),
        // The reader says that these signers are not verified.
        kind("copied-v1-signature.apk", "apk", crate::zip::write(&copied)),
    ]
}
