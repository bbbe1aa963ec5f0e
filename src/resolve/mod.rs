//! The decision: a published app, a check and an instant in, offers out, each with its reasons.
//!
//! Pure: the same app, check and situation give the same answer, on every node and for ever. [`decide`] is the
//! check; [`explain`] is the same decision with the verdict of every release.

mod check;
mod compile;
mod decide;
mod gates;
mod json;
mod offer;
mod read;
mod read_json;
mod verdict;

pub use check::{Check, Installed, InstalledEntry};
pub use compile::{CompiledRelease, PublishedApp, PublishedResource};
pub use decide::{Situation, decide};
pub use offer::{Offer, OfferStatus};
pub use read::{CheckFields, Given, read_check, read_integer};
pub use verdict::{ExplainedRelease, ExplainedResource, Rule, Verdict, explain};
