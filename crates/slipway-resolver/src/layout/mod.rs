//! Memory layout of a published app: few allocations, with small references between them.
//!
//! An app is laid out by [`PublishedApp::compile`] or read from bytes. Reading checks every reference and every order
//! once (`app/validate.rs`), so lookups cannot fail. The layout contains no rule.

mod app;
mod compile;
mod error;
mod list_ref;
mod prefetch;
mod prepare;
mod scopes;
mod string_pool;
mod targets;

pub(crate) use app::CompiledPin;
pub use app::{CompiledRelease, PublishedApp, PublishedResource};
pub use error::LayoutError;
pub use prepare::{NO_ENCODERS, OfferEncoder, OfferEncoders};
pub(crate) use scopes::{Scope, Scopes};
pub(crate) use targets::{CompiledRule, Targets};
