//! Org scopes in a form made for finding the deepest one that matches.

use serde::{Deserialize, Serialize};

use crate::catalog::membership::Membership;
use crate::catalog::org::{Level, LevelCodes, OrgScope};

/// Scopes by the deepest level that they name, deepest first, then by the code there: what a device's own code at a
/// level can match is found by halving, not by looking at every scope.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ScopeIndex(Box<[LevelCodes]>);

impl ScopeIndex {
    pub(super) fn new(scopes: &[OrgScope]) -> Self {
        let mut codes: Vec<_> = scopes.iter().map(|scope| scope.codes().clone()).collect();
        codes.sort_by(|a, b| place_in_order(a).cmp(&place_in_order(b)));
        Self(codes.into_boxed_slice())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The depth of the deepest scope that matches any of the memberships.
    pub(super) fn deepest_match(&self, memberships: &[Membership<'_>]) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        memberships
            .iter()
            .filter_map(|membership| self.deepest_match_of(membership))
            .max()
    }

    fn deepest_match_of(&self, membership: &Membership<'_>) -> Option<usize> {
        let mut depths: [Option<Level>; 5] = [None; 5];
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
    fn matches_at(&self, level: Level, membership: &Membership<'_>) -> bool {
        let Some(code) = membership.get(level) else {
            return false;
        };
        let wanted = (std::cmp::Reverse(level.number()), Some(code));
        let start = self.0.partition_point(|scope| place_in_order(scope) < wanted);
        self.0[start..]
            .iter()
            .take_while(|scope| place_in_order(scope) == wanted)
            .any(|scope| scope.is_matched_by(membership))
    }
}

fn place_in_order(scope: &LevelCodes) -> (std::cmp::Reverse<usize>, Option<&str>) {
    (std::cmp::Reverse(scope.depth()), scope.deepest())
}
