//! Maker of sample packages: small real APKs with signatures, HAPs, and hostile files.
//!
//! The APKs install on a device. Packages that RSA keys sign are the same bytes every time. The maker shares no code
//! with the reader that its files test.
#![expect(
    clippy::unwrap_used,
    reason = "a sample that cannot be made is a mistake in this package"
)]

mod apk;
mod binary_xml;
mod der;
mod hap;
mod icon;
mod key;
mod little_endian;
mod resource_table;
mod signing;
mod string_pool;
mod zip;

pub mod hostile;
pub mod mutator;
pub mod samples;

pub use apk::{Apk, Label};
pub use hap::Hap;
pub use icon::icon;
pub use key::TestKey;
pub use signing::Signing;
