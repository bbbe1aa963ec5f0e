//! Patches of `tests/mutants`. They must apply to the current sources.

use std::fs;

/// Change of a patch to one place of a file.
#[derive(Debug, Default)]
struct Hunk {
    file: String,
    /// Lines that the file must contain there.
    old: String,
    /// Numbers of unchanged lines before the first change and after the last one.
    leading: usize,
    trailing: usize,
    has_change: bool,
}

impl Hunk {
    fn add(&mut self, line: &str) {
        match line.as_bytes().first() {
            Some(b'-' | b'+') => {
                self.has_change = true;
                self.trailing = 0;
            }
            _ if self.has_change => self.trailing += 1,
            _ => self.leading += 1,
        }
        if !line.starts_with('+') {
            self.old.push_str(line.get(1..).unwrap_or_default());
            self.old.push('\n');
        }
    }

    /// Returns `true` if `patch -F0` applies the hunk to this text, and to one place only.
    ///
    /// It takes a hunk with less context on one side for one at that end of the file.
    fn applies_to(&self, source: &str) -> bool {
        let is_one_place = source.matches(self.old.as_str()).count() == 1;
        let is_at_its_end = match self.leading.cmp(&self.trailing) {
            std::cmp::Ordering::Less => source.starts_with(&self.old),
            std::cmp::Ordering::Equal => true,
            std::cmp::Ordering::Greater => source.ends_with(&self.old),
        };
        is_one_place && is_at_its_end
    }
}

#[test]
fn every_mutant_applies_without_fuzz() {
    let mut outdated = Vec::new();
    for entry in fs::read_dir("tests/mutants").expect("there are mutants") {
        let path = entry.expect("a readable directory").path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            let text = fs::read_to_string(&path).expect("a text");
            let hunks = hunks_of(&text);
            assert!(!hunks.is_empty(), "{} has no hunk", path.display());
            let is_outdated =
                |hunk: &Hunk| !hunk.applies_to(&fs::read_to_string(&hunk.file).unwrap_or_default());
            outdated.extend(hunks.into_iter().filter(is_outdated));
        }
    }
    assert!(
        outdated.is_empty(),
        "these hunks of mutants do not apply exactly: {outdated:#?}"
    );
}

fn hunks_of(patch: &str) -> Vec<Hunk> {
    let mut file = None;
    let mut hunks: Vec<Hunk> = Vec::new();
    for line in patch.lines() {
        if line.starts_with("--- ") {
            file = None;
        } else if let Some(path) = line.strip_prefix("+++ b/") {
            file = Some(path.to_owned());
        } else if line.starts_with("@@ ") {
            let file = file.clone().expect("a hunk follows the name of its file");
            hunks.push(Hunk {
                file,
                ..Hunk::default()
            });
        } else if let (Some(hunk), Some(_)) = (hunks.last_mut(), &file)
            && (line.is_empty() || line.starts_with([' ', '-', '+']))
        {
            hunk.add(line);
        }
    }
    hunks
}

#[test]
fn a_hunk_with_less_context_on_one_side_applies_at_that_end_alone() {
    let patch = "Prose.\n--- a/f\n+++ b/f\n@@ -1,4 +1,4 @@\n a\n b\n-c\n+x\n d\n";
    let hunks = hunks_of(patch);
    assert_eq!(hunks.len(), 1);
    assert_eq!(
        (hunks[0].file.as_str(), hunks[0].old.as_str()),
        ("f", "a\nb\nc\nd\n")
    );
    for (source, applies) in [
        ("a\nb\nc\nd\n", true),
        ("0\na\nb\nc\nd\n", true),
        ("a\nb\nc\nd\ne\n", false),
        ("a\nb\nx\nd\n", false),
        ("a\nb\nc\nd\na\nb\nc\nd\n", false),
    ] {
        assert_eq!(hunks[0].applies_to(source), applies, "{source:?}");
    }
}
