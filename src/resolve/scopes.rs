//! Org scopes in a form made for finding the deepest one that matches.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::texts::{Text, TextCollector, Texts};
use crate::catalog::membership::Membership;
use crate::catalog::org::{LEVELS, Level, LevelCodes, OrgScope};

/// A scope: its codes by level, the empty text where it names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Scope([Text; LEVELS]);

/// Scopes by the deepest level that they name, deepest first, then by the code there: what a device's own code at a
/// level can match is found by halving, not by looking at every scope.
#[derive(Clone, Copy)]
pub(super) struct Scopes<'a> {
    sorted: &'a [Scope],
    texts: &'a Texts,
}

impl Scope {
    /// These scopes in the order in which they are looked through.
    pub(super) fn sorted(scopes: &[OrgScope], texts: &mut TextCollector) -> Vec<Self> {
        let mut codes: Vec<_> = scopes.iter().map(OrgScope::codes).collect();
        codes.sort_by_key(|codes| (Reverse(codes.depth()), codes.deepest()));
        let scope_of = |codes: &&_| Self::new(codes, texts);
        codes.iter().map(scope_of).collect()
    }

    fn new(codes: &LevelCodes, texts: &mut TextCollector) -> Self {
        let mut scope = [Text::default(); LEVELS];
        for level in Level::all() {
            if let Some(code) = codes.get(level) {
                scope[level.index()] = texts.add(code);
            }
        }
        Self(scope)
    }

    /// Whether all that it names was kept.
    pub(super) fn is_whole(&self) -> bool {
        !self.0.contains(&Text::NOWHERE)
    }

    /// Where the text of its first level stands.
    pub(super) fn start(&self) -> u32 {
        self.0[0].start()
    }

    /// How many levels deep it goes, and the code there.
    fn deepest(&self) -> (usize, Text) {
        let deepest = self.0.iter().rposition(|code| !code.is_empty());
        deepest.map_or_else(Default::default, |index| (index + 1, self.0[index]))
    }
}

impl<'a> Scopes<'a> {
    /// `sorted` as [`Scope::sorted`] made them.
    pub(super) fn new(sorted: &'a [Scope], texts: &'a Texts) -> Self {
        Self { sorted, texts }
    }

    pub(super) fn is_empty(self) -> bool {
        self.sorted.is_empty()
    }

    /// The depth of the deepest scope that matches any of the memberships.
    pub(super) fn deepest_match(self, memberships: &[Membership<'_>]) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        memberships
            .iter()
            .filter_map(|membership| self.deepest_match_of(membership))
            .max()
    }

    fn deepest_match_of(self, membership: &Membership<'_>) -> Option<usize> {
        let mut depths: [Option<Level>; LEVELS] = [None; LEVELS];
        for (slot, level) in depths.iter_mut().rev().zip(Level::all()) {
            *slot = Some(level);
        }
        depths
            .into_iter()
            .flatten()
            .find(|level| self.matches_at(*level, membership))
            .map(Level::number)
    }

    /// Whether a scope as deep as this level matches.
    fn matches_at(self, level: Level, membership: &Membership<'_>) -> bool {
        let Some(code) = membership.get(level) else {
            return false;
        };
        let wanted = (Reverse(level.number()), Some(code));
        let start = self.sorted.partition_point(|scope| self.place_of(scope) < wanted);
        self.sorted[start..]
            .iter()
            .take_while(|scope| self.place_of(scope) == wanted)
            .any(|scope| self.is_matched_by(scope, membership))
    }

    /// Where a scope stands among the others.
    fn place_of(self, scope: &Scope) -> (Reverse<usize>, Option<&'a str>) {
        let (depth, code) = scope.deepest();
        (Reverse(depth), self.texts.get(code))
    }

    /// Whether each level that the scope names is the same there.
    fn is_matched_by(self, scope: &Scope, membership: &Membership<'_>) -> bool {
        Level::all().all(|level| {
            let named = scope.0[level.index()];
            let own = membership.get(level);
            named.is_empty() || (own.is_some() && own == self.texts.get(named))
        })
    }
}
