//! Org scopes, laid out for finding those that end in a device's code.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::error::LayoutError;
use super::string_pool::{StringPool, StringPoolBuilder, StringRef};
use slipway_domain::catalog::org::{LEVELS, Level, LevelCodes, OrgScope};

/// Codes of a scope by level; an empty text at levels that it does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ScopeRefs([StringRef; LEVELS]);

/// Scopes sorted by the deepest level that they name, deepest first, then by the code at that level. Candidates for a
/// device's code are therefore found by binary search.
#[derive(Clone, Copy)]
pub(crate) struct Scopes<'a> {
    sorted: &'a [ScopeRefs],
    texts: &'a StringPool,
}

/// One scope with its codes.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    refs: &'a ScopeRefs,
    texts: &'a StringPool,
}

impl ScopeRefs {
    /// Returns the scopes in search order.
    pub(super) fn sorted(scopes: &[OrgScope], texts: &mut StringPoolBuilder) -> Vec<Self> {
        let mut codes: Vec<_> = scopes.iter().map(OrgScope::codes).collect();
        codes.sort_by_key(|codes| (Reverse(codes.depth()), codes.deepest()));
        codes.iter().map(|codes| Self::new(codes, texts)).collect()
    }

    fn new(codes: &LevelCodes, texts: &mut StringPoolBuilder) -> Self {
        let mut refs = [StringRef::EMPTY; LEVELS];
        for level in Level::all() {
            if let Some(code) = codes.get(level) {
                refs[level.index()] = texts.add(code);
            }
        }
        Self(refs)
    }

    /// Requires that the pool contains the codes.
    pub(super) fn require_within(&self, texts: &StringPool) -> Result<(), LayoutError> {
        self.0.iter().try_for_each(|code| texts.require(*code))
    }

    /// Returns the offset of the text of the first level.
    pub(super) fn start(&self) -> u32 {
        self.0[0].start()
    }

    /// Returns the depth of the scope, and the code at that level.
    fn deepest(&self) -> (usize, StringRef) {
        let deepest = self.0.iter().rposition(|code| !code.is_empty());
        deepest.map_or((0, StringRef::EMPTY), |index| (index + 1, self.0[index]))
    }
}

impl<'a> Scopes<'a> {
    pub(super) fn new(sorted: &'a [ScopeRefs], texts: &'a StringPool) -> Self {
        Self { sorted, texts }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.sorted.is_empty()
    }

    /// Returns all scopes in search order.
    pub(crate) fn iter(self) -> impl Iterator<Item = Scope<'a>> {
        let texts = self.texts;
        self.sorted.iter().map(move |refs| Scope { refs, texts })
    }

    /// Returns the scopes whose deepest level is `level`, and whose code at that level is `code`.
    pub(crate) fn ending_in(self, level: Level, code: &str) -> impl Iterator<Item = Scope<'a>> {
        let wanted = (Reverse(level.number()), code);
        let start = self.sorted.partition_point(|scope| self.sort_key(scope) < wanted);
        self.sorted[start..]
            .iter()
            .take_while(move |scope| self.sort_key(scope) == wanted)
            .map(move |refs| Scope {
                refs,
                texts: self.texts,
            })
    }

    /// Returns `true` if the scopes are in the order that [`Self::ending_in`] requires.
    pub(super) fn is_sorted(self) -> bool {
        self.sorted.is_sorted_by_key(|scope| self.sort_key(scope))
    }

    fn sort_key(self, scope: &ScopeRefs) -> (Reverse<usize>, &'a str) {
        let (depth, code) = scope.deepest();
        (Reverse(depth), self.texts.get(code))
    }
}

impl<'a> Scope<'a> {
    /// Returns the scope as a release names it; `None` if it names no level.
    pub(crate) fn to_org_scope(self) -> Option<OrgScope> {
        let mut codes = LevelCodes::default();
        for level in Level::all() {
            if let Some(code) = self.code(level) {
                codes.set(level, code);
            }
        }
        OrgScope::new(codes).ok()
    }

    /// Returns the code at a level, if the scope names the level.
    pub(crate) fn code(self, level: Level) -> Option<&'a str> {
        let code = self.refs.0[level.index()];
        (!code.is_empty()).then(|| self.texts.get(code))
    }
}
