//! Rules of the language of documentation comments.

use crate::source::Sources;

/// Openings of noun clauses, which say less than a noun phrase or a verb.
const OPENINGS: [&str; 9] = [
    "What", "Who", "Whose", "Whether", "How", "Which", "When", "Where", "Why",
];
/// The largest share of documentation lines that may open so.
const MOST: f64 = 0.05;

#[test]
fn documentation_opens_with_a_noun_or_a_verb() {
    let (mut lines, mut opening) = (0_u32, Vec::new());
    for module in Sources::read().0 {
        for (index, line) in module.text.lines().enumerate() {
            let line = line.trim_start();
            let Some(text) = line.strip_prefix("/// ").or_else(|| line.strip_prefix("//! ")) else {
                continue;
            };
            lines += 1;
            let word = text
                .split(|letter: char| !letter.is_alphabetic())
                .next()
                .unwrap_or_default();
            if OPENINGS.contains(&word) {
                opening.push(format!("{}:{}: {text}", module.file.display(), index + 1));
            }
        }
    }
    let share = f64::from(u32::try_from(opening.len()).expect("there are fewer lines")) / f64::from(lines);
    assert!(share <= MOST, "{share:.3} of {lines} lines: {opening:#?}");
}
