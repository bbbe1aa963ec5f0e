//! The decision: a published app, a check and an instant in, offers out, each with its reasons.
//!
//! Pure: the same app, check and situation give the same answer, on every node and for ever. [`decide`] is the
//! check; [`explain`] is the same decision with the verdict of every release.

mod check;
mod compile;
mod decide;
mod gates;
mod offer;
mod prepare;
mod read;
mod read_ahead;
mod read_json;
mod scopes;
mod span;
mod targets;
mod texts;
mod verdict;
pub mod xml;

pub use check::{Attribute, Check, Installed, InstalledEntry};
pub use compile::{CompiledRelease, PublishedApp, PublishedResource};
pub use decide::{Situation, decide};
pub use offer::Offer;
pub use prepare::Form;
pub use read::{CheckFields, Given, read_check, read_device_attributes, read_integer, read_memberships};
pub use verdict::{ExplainedRelease, ExplainedResource, Rule, Verdict, explain, explain_some};
