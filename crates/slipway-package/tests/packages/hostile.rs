//! Hostile files end with an error, or with a kind that says nothing false.

use std::sync::LazyLock;

use slipway_package::{Inspection, ZipFacts};
use slipway_package_maker::hostile::{HostileFile, Outcome, hostile_files};

use crate::meter::inspect_metered;

static FILES: LazyLock<Vec<HostileFile>> = LazyLock::new(hostile_files);

fn mistake(file: &HostileFile) -> Option<String> {
    let result = inspect_metered(file.name, &file.bytes);
    let is_right = match (&result, file.outcome) {
        (Err(error), Outcome::Refused(message)) => error.to_string().contains(message),
        (Ok(inspection), Outcome::Kind(kind)) => inspection.kind().as_str() == kind,
        _ => false,
    };
    let result = result.as_ref().map_err(ToString::to_string);
    (!is_right).then(|| format!("{}: {result:?} instead of {:?}", file.name, file.outcome))
}

#[test]
fn every_hostile_file_has_its_outcome() {
    assert!(FILES.len() >= 100, "there are only {} files", FILES.len());
    let mistakes: Vec<_> = FILES.iter().filter_map(mistake).collect();
    assert!(mistakes.is_empty(), "{mistakes:#?}");
}

#[test]
fn the_names_of_hostile_files_differ() {
    let mut names: Vec<_> = FILES.iter().map(|file| file.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

fn inspect_hostile(name: &str) -> Inspection {
    let file = FILES.iter().into_iter().find(|file| file.name == name).unwrap();
    inspect_metered(name, &file.bytes).unwrap()
}

#[test]
fn an_archive_states_its_entries() {
    let facts = |entries, unpacked_bytes| {
        Inspection::Zip(ZipFacts {
            entries,
            unpacked_bytes,
        })
    };
    assert_eq!(inspect_hostile("65535-entries.zip"), facts(65_535, 0));
    assert_eq!(inspect_hostile("end-record-only.zip"), facts(0, 0));
}

#[test]
fn a_copied_v1_signature_is_not_verified() {
    let Inspection::Apk(facts) = inspect_hostile("copied-v1-signature.apk") else {
        panic!("it is an APK");
    };
    assert!(!facts.signing.is_verified);
}
