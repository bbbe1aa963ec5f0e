//! Matching of org scopes: the most specific one counts.

use crate::layout::{Scope, Scopes};
use slipway_domain::catalog::membership::Membership;
use slipway_domain::catalog::org::Level;

/// Returns the depth of the deepest scope that matches any of the memberships.
pub(super) fn deepest_match(scopes: Scopes<'_>, memberships: &[Membership<'_>]) -> Option<usize> {
    if scopes.is_empty() {
        return None;
    }
    memberships
        .iter()
        .filter_map(|membership| deepest_match_of(scopes, membership))
        .max()
}

fn deepest_match_of(scopes: Scopes<'_>, membership: &Membership<'_>) -> Option<usize> {
    Level::all()
        .rev()
        .find(|level| matches_at(scopes, *level, membership))
        .map(Level::number)
}

/// Returns `true` if a scope of exactly this depth matches.
fn matches_at(scopes: Scopes<'_>, level: Level, membership: &Membership<'_>) -> bool {
    membership.get(level).is_some_and(|code| {
        scopes
            .ending_in(level, code)
            .any(|scope| matches(scope, membership))
    })
}

/// Returns `true` if every level that the scope names has the same code in the membership.
fn matches(scope: Scope<'_>, membership: &Membership<'_>) -> bool {
    Level::all().all(|level| {
        let named = scope.code(level);
        named.is_none() || named == membership.get(level)
    })
}
