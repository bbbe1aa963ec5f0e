//! Facts that a file states about itself.
//!
//! [`inspect`] detects the kind of a file from its content and reads its facts. Files come from strangers: the time, the
//! memory and the number of reads are bounded by [`Limits`] and by the size of the file, and no input causes a panic.
//! A file that two readers could understand differently is an error, because Android might install something else than
//! what the facts say.
//!
//! The certificates of an APK with a v2 or v3 signature are verified: the signatures, the digests of the content, and
//! the lineage of a rotated key. The v1 signature is not verified; see [`SigningFacts::is_verified`].

mod android;
mod cursor;
mod error;
mod facts;
mod hap;
mod inspect;
mod limits;
mod signing;
mod source;
mod zip;

pub use error::{InspectionError, Part};
pub use facts::{
    ApkFacts, CertificateDigest, HapFacts, Icon, Inspection, PackageKind, SigningFacts, SigningScheme,
    ZipFacts,
};
pub use inspect::inspect;
pub use limits::Limits;
