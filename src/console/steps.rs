//! Steps of a decision, as the explanation of a check names them.

use super::texts::Texts;
use slipway_resolver::{Criterion, Rule};

/// Step at which a release was decided.
pub(super) struct DecidingStep {
    pub(super) number: usize,
    /// What it examined.
    pub(super) criterion: &'static str,
}

impl DecidingStep {
    pub(super) fn of(t: &Texts, rule: Rule) -> Self {
        let criterion = rule.criterion();
        Self {
            number: criterion.step(),
            criterion: t.criterion(criterion),
        }
    }
}

/// Returns what each step examines.
pub(super) fn steps_in_order(t: &Texts) -> Vec<String> {
    let steps = Criterion::ALL.chunk_by(|one, next| one.step() == next.step());
    let names = |criteria: &[Criterion]| {
        let names: Vec<_> = criteria.iter().map(|criterion| t.criterion(*criterion)).collect();
        names.join(" · ")
    };
    steps.map(names).collect()
}
