//! Org scopes compiled for finding the deepest match.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::string_pool::{StringPool, StringPoolBuilder, StringRef};
use slipway_domain::catalog::membership::Membership;
use slipway_domain::catalog::org::{LEVELS, Level, LevelCodes, OrgScope};

/// Codes of a scope by level; an empty text at levels that it does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Scope([StringRef; LEVELS]);

/// Scopes sorted by the deepest level that they name, deepest first, then by the code at that level. Candidates for a
/// device's code are therefore found by binary search.
#[derive(Clone, Copy)]
pub(super) struct Scopes<'a> {
    sorted: &'a [Scope],
    texts: &'a StringPool,
}

impl Scope {
    /// Returns the scopes in search order.
    pub(super) fn sorted(scopes: &[OrgScope], texts: &mut StringPoolBuilder) -> Vec<Self> {
        let mut codes: Vec<_> = scopes.iter().map(OrgScope::codes).collect();
        codes.sort_by_key(|codes| (Reverse(codes.depth()), codes.deepest()));
        let scope_of = |codes: &&_| Self::new(codes, texts);
        codes.iter().map(scope_of).collect()
    }

    fn new(codes: &LevelCodes, texts: &mut StringPoolBuilder) -> Self {
        let mut scope = [StringRef::default(); LEVELS];
        for level in Level::all() {
            if let Some(code) = codes.get(level) {
                scope[level.index()] = texts.add(code);
            }
        }
        Self(scope)
    }

    /// Returns `true` if all codes of the scope were stored.
    pub(super) fn is_whole(&self) -> bool {
        !self.0.contains(&StringRef::INVALID)
    }

    /// Returns the offset of the text of the first level.
    pub(super) fn start(&self) -> u32 {
        self.0[0].start()
    }

    /// Returns the depth of the scope, and the code at that level.
    fn deepest(&self) -> (usize, StringRef) {
        let deepest = self.0.iter().rposition(|code| !code.is_empty());
        deepest.map_or_else(Default::default, |index| (index + 1, self.0[index]))
    }
}

impl<'a> Scopes<'a> {
    /// `sorted` must be a result of [`Scope::sorted`].
    pub(super) fn new(sorted: &'a [Scope], texts: &'a StringPool) -> Self {
        Self { sorted, texts }
    }

    pub(super) fn is_empty(self) -> bool {
        self.sorted.is_empty()
    }

    /// Returns the depth of the deepest scope that matches any of the memberships.
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

    /// Returns `true` if a scope of exactly this depth matches.
    fn matches_at(self, level: Level, membership: &Membership<'_>) -> bool {
        let Some(code) = membership.get(level) else {
            return false;
        };
        let wanted = (Reverse(level.number()), Some(code));
        let start = self.sorted.partition_point(|scope| self.sort_key(scope) < wanted);
        self.sorted[start..]
            .iter()
            .take_while(|scope| self.sort_key(scope) == wanted)
            .any(|scope| self.is_matched_by(scope, membership))
    }

    /// Returns the sort key of a scope.
    fn sort_key(self, scope: &Scope) -> (Reverse<usize>, Option<&'a str>) {
        let (depth, code) = scope.deepest();
        (Reverse(depth), self.texts.get(code))
    }

    /// Returns `true` if every level that the scope names has the same code in the membership.
    fn is_matched_by(self, scope: &Scope, membership: &Membership<'_>) -> bool {
        Level::all().all(|level| {
            let named = scope.0[level.index()];
            let own = membership.get(level);
            named.is_empty() || (own.is_some() && own == self.texts.get(named))
        })
    }
}
