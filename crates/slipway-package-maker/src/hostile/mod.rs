//! Hostile files, each with the outcome that a reader must reach.

mod containers;
mod haps;
mod manifests;
mod resources;
mod signatures;
mod zip64;

/// Outcome of an inspection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An error, whose message contains the text.
    Refused(&'static str),
    /// The file has this kind and nothing else.
    Kind(&'static str),
}

/// Hostile file.
#[derive(Clone, Debug)]
pub struct HostileFile {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub outcome: Outcome,
}

fn refused(name: &'static str, message: &'static str, bytes: Vec<u8>) -> HostileFile {
    HostileFile {
        name,
        bytes,
        outcome: Outcome::Refused(message),
    }
}

fn kind(name: &'static str, kind: &'static str, bytes: Vec<u8>) -> HostileFile {
    HostileFile {
        name,
        bytes,
        outcome: Outcome::Kind(kind),
    }
}

/// Makes all hostile files.
pub fn hostile_files() -> Vec<HostileFile> {
    [
        containers::files(),
        zip64::files(),
        manifests::files(),
        resources::files(),
        signatures::files(),
        haps::files(),
    ]
    .concat()
}
