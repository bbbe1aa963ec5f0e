//! Patches of `tests/mutants`, which must apply to the sources as they are.

use std::fs;

#[test]
fn every_mutant_applies_without_fuzz() {
    let mut outdated = Vec::new();
    for entry in fs::read_dir("tests/mutants").expect("there are mutants") {
        let path = entry.expect("a readable directory").path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            let patch = fs::read_to_string(&path).expect("a text");
            collect_outdated_hunks(&path.display().to_string(), &patch, &mut outdated);
        }
    }
    assert!(
        outdated.is_empty(),
        "these hunks of mutants do not apply exactly: {outdated:#?}"
    );
}

/// Adds `patch: file: hunk` for each hunk whose old lines are not in its file exactly once.
fn collect_outdated_hunks(patch_name: &str, patch: &str, outdated: &mut Vec<String>) {
    let mut file = None;
    let mut hunks: Vec<(String, String)> = Vec::new();
    for line in patch.lines() {
        if line.starts_with("--- ") {
            continue;
        }
        if let Some(path) = line.strip_prefix("+++ b/") {
            file = Some(path.to_owned());
        } else if line.starts_with("@@ ") {
            let file = file.clone().expect("a hunk follows the name of its file");
            hunks.push((file, String::new()));
        } else if let (Some((_, old)), Some(text)) = (hunks.last_mut(), line.strip_prefix([' ', '-'])) {
            old.push_str(text);
            old.push('\n');
        } else if let (Some((_, old)), "") = (hunks.last_mut(), line) {
            old.push('\n');
        }
    }
    assert!(!hunks.is_empty(), "{patch_name} has no hunk");
    for (file, old) in hunks {
        let source = fs::read_to_string(&file).unwrap_or_default();
        if source.matches(old.as_str()).count() != 1 {
            outdated.push(format!("{patch_name}: {file}:\n{old}"));
        }
    }
}
