//! Rules of a decision, and the explanation of one. They read an app through the lookups of `layout`.

mod audience;
mod decide;
mod detail;
mod detail_words;
mod gates;
mod offer;
mod rule;
mod scopes;
mod verdict;

pub use audience::{ReleaseSummary, ResourceSummary, summarize};
pub use decide::decide;
pub use offer::Offer;
pub use rule::{Criterion, Rule};
pub use verdict::{ExplainedRelease, ExplainedResource, Verdict, explain, explain_selected};
