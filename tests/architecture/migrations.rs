//! Merged migrations never change.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use sha2::{Digest as _, Sha256};

const SOURCES: &str = "migration/src";
const FROZEN: &str = "migration/frozen.txt";

#[test]
fn merged_migrations_are_as_they_were() {
    let frozen = fs::read_to_string(FROZEN).expect("the digests are there");
    let frozen: BTreeMap<_, _> = frozen.lines().filter_map(|line| line.split_once(' ')).collect();
    let names = migrations();
    assert!(!names.is_empty(), "there are migrations");
    for name in &names {
        let digest = digest_of(name);
        match frozen.get(name.as_str()) {
            Some(merged) => assert_eq!(
                digest, *merged,
                "{name} was changed after it was merged; write another migration"
            ),
            None => panic!("{name} is not frozen yet; when it is merged, add to {FROZEN}:\n{name} {digest}"),
        }
    }
    for name in frozen.keys() {
        assert!(
            names.iter().any(|known| known == name),
            "{name} was removed after it was merged"
        );
    }
}

/// Names of all migrations.
fn migrations() -> Vec<String> {
    let files = fs::read_dir(SOURCES).expect("the migrations are there");
    let names = files.filter_map(|file| {
        let path = file.expect("a file is readable").path();
        let name = path.file_stem()?.to_str()?.to_owned();
        (path.is_file() && name.starts_with('m')).then_some(name)
    });
    names.collect()
}

/// Digest of the code of a migration and of its folder. Comments and formatting count in statements alone.
fn digest_of(name: &str) -> String {
    let mut files = vec![Path::new(SOURCES).join(format!("{name}.rs"))];
    files.extend(files_in(&Path::new(SOURCES).join(name)));
    let mut digest = Sha256::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("sources are text");
        digest.update(file.to_string_lossy().as_bytes());
        digest.update(code_of(&file, text).as_bytes());
    }
    hex::encode(digest.finalize())
}

fn code_of(file: &Path, text: String) -> String {
    if file.extension().is_some_and(|extension| extension == "sql") {
        return text;
    }
    let tokens: TokenStream = text.parse().expect("sources are Rust");
    let mut code = String::new();
    write_code(tokens, &mut code);
    code
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a file is readable").path())
        .collect();
    files.sort();
    files
}

/// Writes tokens with spaces between them, without documentation and trailing commas.
fn write_code(tokens: TokenStream, code: &mut String) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if let TokenTree::Punct(punct) = &token {
            if punct.as_char() == '#' {
                // The `!` of an inner attribute.
                let is_inner = matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == '!');
                let bang = is_inner.then(|| tokens.next()).flatten();
                let attribute = tokens.next().expect("an attribute has a body");
                if attribute.to_string().replace(' ', "").starts_with("[doc=") {
                    continue;
                }
                code.push('#');
                code.extend(bang.map(|_| '!'));
                write_code(attribute.into(), code);
                continue;
            }
            if punct.as_char() == ',' && tokens.peek().is_none() {
                continue;
            }
        }
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                code.push_str(open);
                write_code(group.stream(), code);
                code.push_str(close);
            }
            other => {
                code.push_str(&other.to_string());
                code.push(' ');
            }
        }
    }
}
