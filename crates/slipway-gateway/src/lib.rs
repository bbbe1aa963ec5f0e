//! Wire protocol of the Taobao Open Platform gateway (TOP), as its existing SDKs speak it.
//!
//! [`params`] decodes a request, [`batch`] splits one that contains several calls, [`signed_request`] verifies the
//! signature, [`signature_ambiguity`] rejects a signed text that more than one request has, and [`envelope`] writes the
//! response. This crate knows neither a web framework nor the methods that a server offers.

pub mod batch;
pub mod envelope;
pub mod error;
pub mod form;
pub mod method;
mod multipart;
pub mod params;
pub mod request_id;
#[cfg(test)]
mod round_trips;
pub mod sign;
pub mod signature_ambiguity;
pub mod signed_request;
pub mod timestamp;
pub mod value_kind;
pub mod xml;
