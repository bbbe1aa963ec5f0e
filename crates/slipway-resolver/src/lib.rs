//! Decision of a check: takes a published app, a check and a time, and returns the offers with their reasons.
//!
//! The decision is pure: the same app, check and context give the same result, on every node and at any time.
//! [`decide`] answers a check. [`explain`] makes the same decision and returns the verdict of every release.

mod check;
mod check_context;
mod compile;
mod decide;
mod gates;
mod integer;
mod list_ref;
mod offer;
mod prefetch;
mod prepare;
mod read;
mod read_json;
mod rule;
mod scopes;
mod string_pool;
mod targets;
mod verdict;

pub use check::{Attribute, Check, Installed, InstalledEntry};
pub use check_context::CheckContext;
pub use compile::{CompiledRelease, PublishedApp, PublishedResource};
pub use decide::decide;
pub use offer::Offer;
pub use prepare::{NO_ENCODERS, OfferEncoder, OfferEncoders};
pub use read::{CheckFields, RawField, read_check, read_device_attributes, read_integer, read_memberships};
pub use rule::Rule;
pub use verdict::{ExplainedRelease, ExplainedResource, Verdict, explain, explain_selected};
