//! Damaged forms of valid files: no panic, bounded work, and no facts of a signer who did not sign.

use std::sync::LazyLock;

use proptest::prelude::*;
use slipway_package::{ApkFacts, Inspection, SigningFacts};
use slipway_package_maker::mutator::mutate;
use slipway_package_maker::samples::{Sample, samples};

use crate::meter::inspect_metered;

/// The samples, without the large one.
static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let samples = samples().into_iter();
    samples.filter(|sample| sample.bytes.len() < 100_000).collect()
});

/// Facts that a v2 or v3 signature protects.
fn verified_facts(name: &str, file: &[u8]) -> Option<ApkFacts> {
    match inspect_metered(name, file) {
        Ok(Inspection::Apk(facts)) if facts.signing.is_verified => Some(*facts),
        _ => None,
    }
}

/// Facts without the schemes: a signature may be removed if the remaining one does not tell.
fn without_schemes(facts: ApkFacts) -> ApkFacts {
    ApkFacts {
        signing: SigningFacts {
            schemes: Vec::new(),
            ..facts.signing
        },
        ..facts
    }
}

fn require_no_false_facts(sample: &Sample, damaged: &[u8]) {
    if let Some(facts) = verified_facts(sample.name, damaged) {
        let original = verified_facts(sample.name, &sample.bytes).unwrap();
        assert_eq!(
            without_schemes(facts),
            without_schemes(original),
            "{}",
            sample.name
        );
    }
}

#[test]
fn a_file_cut_off_anywhere_is_refused_or_another_kind() {
    for sample in SAMPLES.iter() {
        // Every length of the plain package, and some of the others.
        let step = if sample.name == "plain.apk" { 1 } else { 13 };
        for length in (0..sample.bytes.len()).step_by(step) {
            let result = inspect_metered(sample.name, &sample.bytes[..length]);
            let is_harmless = match result {
                Err(_) => true,
                Ok(inspection) => inspection == Inspection::Other && length < 4,
            };
            assert!(is_harmless, "{} cut off at {length}", sample.name);
        }
    }
}

#[test]
fn a_flipped_bit_changes_no_verified_fact() {
    let sample = SAMPLES.iter().find(|sample| sample.name == "plain.apk").unwrap();
    for place in 0..sample.bytes.len() {
        let mut damaged = sample.bytes.clone();
        damaged[place] ^= 1 << (place % 8);
        require_no_false_facts(sample, &damaged);
    }
}

#[test]
fn seeded_mutations_end_without_false_facts() {
    for seed in 0..300 {
        for sample in SAMPLES.iter() {
            require_no_false_facts(sample, &mutate(&sample.bytes, seed));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn overwritten_ranges_end_without_false_facts(
        index in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let sample = index.get(&SAMPLES);
        let mut damaged = sample.bytes.clone();
        let start = place.index(damaged.len());
        let end = damaged.len().min(start + bytes.len());
        damaged[start..end].copy_from_slice(&bytes[..end - start]);
        require_no_false_facts(sample, &damaged);
    }

    #[test]
    fn noise_after_the_magic_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let file = [b"PK\x03\x04", &bytes[..]].concat();
        prop_assert!(inspect_metered("noise", &file).is_err());
    }
}
