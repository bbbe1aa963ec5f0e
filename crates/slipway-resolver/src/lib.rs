//! Decision of a check: takes a published app, a check and a time, and returns the offers with their reasons.
//!
//! The decision is pure: the same app, check and context give the same result, on every node and at any time.
//! [`decide`] answers a check. [`explain`] makes the same decision and returns the verdict of every release.
//!
//! `rules` decides. `layout` is the form of an app in memory, which is validated when it is read from bytes.

mod check;
mod check_context;
mod integer;
mod layout;
mod read;
mod read_json;
mod rules;

pub use check::{Attribute, Check, Installed, InstalledEntry};
pub use check_context::CheckContext;
pub use layout::{
    AppChange, AppChangeRef, AppPart, CompiledRelease, LayoutError, NO_ENCODERS, OfferEncoder, OfferEncoders,
    PartSelection, PublishedApp, PublishedResource,
};
pub use read::{CheckFields, RawField, read_check, read_device_attributes, read_integer, read_memberships};
pub use rules::{
    Criterion, ExplainedRelease, ExplainedResource, Offer, ReleaseSummary, ResourceSummary, Rule, Verdict,
    decide, explain, explain_selected, summarize,
};
