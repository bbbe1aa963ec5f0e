//! Every package uses the libraries that it depends on.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn no_dependency_is_unused() {
    let metadata = metadata();
    let mut unused = Vec::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let Some(package) = workspace_package(&metadata, &node["id"]) else {
            continue;
        };
        let name = text(&package["name"]);
        let directory = Path::new(text(&package["manifest_path"])).parent();
        let sources = sources_of(directory.expect("a manifest is in a directory"));
        for dependency in list(&node["deps"]) {
            let library = text(&dependency["name"]);
            if !names(&sources, library) {
                unused.push(format!("{name} does not use {library}"));
            }
        }
    }
    assert!(unused.is_empty(), "{unused:#?}");
}

/// Returns Cargo's metadata of the workspace and its dependencies.
fn metadata() -> Value {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()
        .expect("cargo can be started");
    assert!(
        cargo.status.success(),
        "{}",
        String::from_utf8_lossy(&cargo.stderr)
    );
    serde_json::from_slice(&cargo.stdout).expect("the metadata is JSON")
}

fn workspace_package<'m>(metadata: &'m Value, id: &Value) -> Option<&'m Value> {
    if !list(&metadata["workspace_members"]).contains(id) {
        return None;
    }
    list(&metadata["packages"])
        .iter()
        .find(|package| package["id"] == *id)
}

/// Returns the text of all sources of a package, without packages in subdirectories.
fn sources_of(directory: &Path) -> String {
    let mut sources = String::new();
    for part in ["src", "tests", "benches"] {
        append_sources(&directory.join(part), &mut sources);
    }
    sources
}

fn append_sources(directory: &Path, sources: &mut String) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("an entry is readable").path();
        if path.is_dir() {
            append_sources(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(&path).expect("sources are text"));
        }
    }
}

/// Returns true if a word occurs in the sources.
fn names(sources: &str, word: &str) -> bool {
    let is_part =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    sources.match_indices(word).any(|(start, _)| {
        let (before, after) = (&sources[..start], &sources[start + word.len()..]);
        !is_part(before.chars().next_back()) && !is_part(after.chars().next())
    })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("it is a list")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("it is a text")
}
