//! Domain types of Slipway and their rules, as stated in `docs/rules.md`.
//!
//! This module is pure: no HTTP, SQL, async, clock or environment. A value of these types is valid by construction.
//! Input is converted by a `parse` function, whose error states the problem and the accepted values.

pub mod adoption;
pub mod app;
pub mod artifact;
pub mod artifact_use;
pub mod attribute;
pub mod audit;
pub mod audit_action;
pub mod audit_words;
mod closed_list;
pub mod device;
pub mod download_urls;
pub mod enrolment;
pub mod field;
pub mod ids;
pub mod install;
pub mod instant;
pub mod json;
pub mod language;
pub mod membership;
pub mod min_sdk;
pub mod node_devices;
pub mod org;
mod org_directory;
mod org_level;
pub mod org_path;
pub mod page;
pub mod pin;
pub mod push;
pub mod release;
pub mod release_content;
pub mod revision;
pub mod rollout;
pub mod short_text;
pub mod targeting;
pub mod targeting_words;
pub mod tenant;
pub mod text;
pub mod version;
pub mod versioned;
