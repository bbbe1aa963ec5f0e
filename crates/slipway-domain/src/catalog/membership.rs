//! Org places that a device reports.

use std::borrow::Cow;

use super::org_level::{LEVELS, Level, LevelCodes};

/// One org place of a device: codes by level, each of them optional. Borrows from the request, and from the directory
/// that completed it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Membership<'a>([Option<Cow<'a, str>>; LEVELS]);

impl<'a> Membership<'a> {
    pub fn set(&mut self, level: Level, code: Cow<'a, str>) {
        self.0[level.index()] = Some(code);
    }

    pub fn get(&self, level: Level) -> Option<&str> {
        self.0[level.index()].as_deref()
    }

    /// Returns the deepest level given, with its code.
    pub fn deepest(&self) -> Option<(Level, &str)> {
        Level::all()
            .filter_map(|level| self.get(level).map(|code| (level, code)))
            .next_back()
    }

    /// Returns the known codes down to `level`.
    pub fn down_to(&self, level: Level) -> impl Iterator<Item = &str> {
        self.0[..level.number()].iter().flatten().map(AsRef::as_ref)
    }

    /// Returns every known level with its code.
    pub fn levels(&self) -> impl Iterator<Item = (Level, &str)> {
        Level::all().filter_map(|level| self.get(level).map(|code| (level, code)))
    }

    /// Returns the place named by these codes.
    pub(super) fn of_codes(codes: &'a LevelCodes) -> Self {
        let mut membership = Self::default();
        for level in Level::all() {
            if let Some(code) = codes.get(level) {
                membership.set(level, Cow::Borrowed(code));
            }
        }
        membership
    }

    pub fn to_codes(&self) -> LevelCodes {
        let mut codes = LevelCodes::default();
        for (level, code) in self.levels() {
            codes.set(level, code);
        }
        codes
    }

    /// Returns the place of a directory node.
    pub(super) fn of_path(path: impl Iterator<Item = &'a str>) -> Self {
        let mut codes: [Option<Cow<'a, str>>; LEVELS] = Default::default();
        for (slot, code) in codes.iter_mut().zip(path) {
            *slot = Some(Cow::Borrowed(code));
        }
        Self(codes)
    }
}
