//! Names of entries.

use std::collections::HashSet;

use crate::error::{Flaw, quote};

/// Set of names that refuses a name for the second time.
#[derive(Default)]
pub(super) struct UniqueNames<'a>(HashSet<&'a [u8]>);

impl<'a> UniqueNames<'a> {
    pub(super) fn add(&mut self, name: &'a [u8]) -> Result<(), Flaw> {
        require_safe(name)?;
        if !self.0.insert(name) {
            return Err(format!("two entries have the name {}", quote(name)).into());
        }
        Ok(())
    }
}

/// Refuses names that would leave the folder into which a device unpacks, or that end early for some readers.
fn require_safe(name: &[u8]) -> Result<(), Flaw> {
    let is_separator = |byte: &u8| matches!(byte, b'/' | b'\\');
    let reason = if name.is_empty() {
        "is empty"
    } else if name.contains(&0) {
        "contains a NUL"
    } else if name.first().is_some_and(is_separator) || is_drive(name) {
        "is absolute"
    } else if name.split(is_separator).any(|segment| segment == b"..") {
        "leaves its folder"
    } else {
        return Ok(());
    };
    Err(format!("the entry name {} {reason}", quote(name)).into())
}

fn is_drive(name: &[u8]) -> bool {
    matches!(name, [letter, b':', ..] if letter.is_ascii_alphabetic())
}
