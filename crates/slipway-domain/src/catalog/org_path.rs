//! Org paths as one line of text: codes from l1 down, joined with `/`. A backslash precedes each `/` and each backslash
//! that belongs to a code.

/// Splits a line into its codes, trimmed. A level that is left empty is an empty code.
pub fn split(line: &str) -> Vec<String> {
    let mut codes = Vec::new();
    let mut code = String::new();
    let mut rest = line.chars().peekable();
    while let Some(next) = rest.next() {
        match (next, rest.peek()) {
            ('\\', Some(&own @ ('/' | '\\'))) => {
                code.push(own);
                rest.next();
            }
            ('/', _) => codes.push(std::mem::take(&mut code)),
            _ => code.push(next),
        }
    }
    codes.push(code);
    codes.iter().map(|code| code.trim().to_owned()).collect()
}

/// Joins codes to the line that [`split`] reads.
pub fn join<S: AsRef<str>>(codes: impl IntoIterator<Item = S>) -> String {
    let escaped = |code: S| code.as_ref().replace('\\', "\\\\").replace('/', "\\/");
    codes.into_iter().map(escaped).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_a_line() {
        for codes in [
            &["HM", "HM-SH", "8007"][..],
            &["", "", "8007"],
            &["A/B", "C\\D", "\\/", "E\\"],
        ] {
            assert_eq!(split(&join(codes)), codes);
        }
        assert_eq!(split(" HM / C\\D "), ["HM", "C\\D"]);
    }
}
