//! Memory layout of a published app: few allocations, with small references between them.
//!
//! An app is laid out by [`PublishedApp::compile`] or read from bytes. Reading checks every reference and every order
//! once (`part/validate.rs`), so lookups cannot fail. The layout contains no rule.
//!
//! An app consists of parts, each with some of its resources. States of an app share the parts that did not change.

mod app;
mod chunks;
mod compile;
mod digest;
mod error;
mod list_ref;
mod part;
mod parts;
mod prefetch;
mod prepare;
mod scopes;
mod string_pool;
mod targets;

pub use app::{AppChange, AppChangeRef, PartSelection, PublishedApp};
pub use error::LayoutError;
pub(crate) use part::CompiledPin;
pub use part::{AppPart, CompiledRelease, PublishedResource};
pub use prepare::{NO_ENCODERS, OfferEncoder, OfferEncoders};
pub(crate) use scopes::{Scope, Scopes};
pub(crate) use targets::{CompiledRule, Targets};
