//! Rules of the language of documentation comments.

use std::fs;
use std::path::{Path, PathBuf};

/// Openings of noun clauses, which are less precise than a noun phrase or a verb.
const OPENINGS: [&str; 9] = [
    "What", "Who", "Whose", "Whether", "How", "Which", "When", "Where", "Why",
];
/// Maximum share of documentation lines in one folder that open with one of them.
const MOST: f64 = 0.05;

/// Every folder and every crate has its own limit, so that none hides behind the average.
#[test]
fn documentation_opens_with_a_noun_or_a_verb() {
    let mut folders: Vec<PathBuf> = ["src", "tests", "benches"].map(PathBuf::from).into();
    let crates = fs::read_dir("crates").expect("the crates are there");
    folders.extend(crates.map(|entry| entry.expect("an entry is readable").path()));
    assert!(folders.len() > 8, "the crates are there");
    for folder in folders {
        let (mut lines, mut opening) = (0_u32, Vec::new());
        examine(&folder, &mut lines, &mut opening);
        assert!(lines > 0, "{} is documented", folder.display());
        let count = u32::try_from(opening.len()).expect("there are fewer lines");
        let share = f64::from(count) / f64::from(lines);
        let folder = folder.display();
        assert!(
            share <= MOST,
            "{folder}: {share:.3} of {lines} lines: {opening:#?}"
        );
    }
}

/// Counts the documentation lines below a directory, and adds those that open with a noun clause.
fn examine(directory: &Path, lines: &mut u32, opening: &mut Vec<String>) {
    for entry in fs::read_dir(directory).expect("the sources are there") {
        let path = entry.expect("an entry is readable").path();
        if path.is_dir() {
            examine(&path, lines, opening);
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source is readable");
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_start();
            let Some(text) = line.strip_prefix("/// ").or_else(|| line.strip_prefix("//! ")) else {
                continue;
            };
            *lines += 1;
            let word = text
                .split(|letter: char| !letter.is_alphabetic())
                .next()
                .unwrap_or_default();
            if OPENINGS.contains(&word) {
                opening.push(format!("{}:{}: {text}", path.display(), index + 1));
            }
        }
    }
}
