//! The nouns of Slipway and their rules, as `docs/rules.md` words them.
//!
//! Pure: knows no HTTP, SQL, async, clock or environment. A value of these types is valid by construction;
//! what a caller sent becomes one through a `parse` function that says what is wrong and what is accepted.

pub mod app;
pub mod attribute;
pub mod device;
pub mod enrolment;
pub mod field;
pub mod ids;
pub mod json;
pub mod membership;
pub mod org;
mod org_directory;
pub mod pin;
pub mod push;
pub mod release;
pub mod release_changes;
pub mod rollout;
pub mod targeting;
pub mod tenant;
pub mod text;
pub mod version;
