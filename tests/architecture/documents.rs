//! Code in the documents that other tests run.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Directory of the programs and configurations that `tests/clients/run` runs.
const EXECUTED: &str = "tests/clients";
/// Languages of code blocks, and the extensions of their files.
const LANGUAGES: [(&str, &str); 5] = [
    ("java", "java"),
    ("kotlin", "kt"),
    ("go", "go"),
    ("js", "mjs"),
    ("nginx", "conf"),
];

#[test]
fn code_in_the_documents_equals_the_files_that_are_run() {
    let (mut files, mut blocks) = (BTreeSet::new(), BTreeSet::new());
    collect_files(Path::new(EXECUTED), &mut files);
    for entry in fs::read_dir("docs").expect("there are documents") {
        let path = entry.expect("a readable directory").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            collect_blocks(&fs::read_to_string(&path).expect("a text"), &mut blocks);
        }
    }
    assert!(!files.is_empty());
    let differing: Vec<_> = files.symmetric_difference(&blocks).collect();
    assert!(
        differing.is_empty(),
        "either only in docs or only in {EXECUTED}: {differing:#?}"
    );
}

/// Adds the language and the text of each file below a directory.
fn collect_files(directory: &Path, files: &mut BTreeSet<(&str, String)>) {
    for entry in fs::read_dir(directory).expect("there are programs") {
        let path = entry.expect("a readable directory").path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        let language = LANGUAGES.iter().find(|(_, own)| extension == Some(*own));
        if path.is_dir() {
            collect_files(&path, files);
        } else if let Some((language, _)) = language {
            files.insert((*language, fs::read_to_string(&path).expect("a text")));
        }
    }
}

/// Adds the language and the text of each code block of a document.
fn collect_blocks(document: &str, blocks: &mut BTreeSet<(&str, String)>) {
    for (language, _) in LANGUAGES {
        for block in document.split(&format!("```{language}\n")).skip(1) {
            let (text, _) = block.split_once("```").expect("a block ends");
            blocks.insert((language, text.to_owned()));
        }
    }
}
