//! Prepared bytes of offers: encoded once when an app is compiled, and copied into answers.
//!
//! The resolver stores the bytes and does not know what they mean. [`OfferEncoders`] write them, one encoder for each
//! slot.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::chunks::Chunks;
use super::error::LayoutError;
use super::list_ref::{index, require_addressable};
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::release::Release;

/// Number of encodings of an offer.
const SLOTS: usize = 2;

/// Encoder of the parts of an offer that do not depend on the device.
pub trait OfferEncoder: Sync {
    /// Appends the part that depends on a release and its app.
    fn encode_release(&self, app: &App, release: &Release, out: &mut Vec<u8>);

    /// Appends the part that depends on an app alone.
    fn encode_app(&self, app: &App, out: &mut Vec<u8>);
}

/// Encoders by slot. An offer returns the bytes of an encoder by its slot.
pub type OfferEncoders = [&'static dyn OfferEncoder; SLOTS];

/// Encoders for an app whose offers are not sent.
pub const NO_ENCODERS: OfferEncoders = [&NoEncoder; SLOTS];

struct NoEncoder;

impl OfferEncoder for NoEncoder {
    fn encode_release(&self, _: &App, _: &Release, _: &mut Vec<u8>) {}

    fn encode_app(&self, _: &App, _: &mut Vec<u8>) {}
}

/// All prepared bytes of an app.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PreparedBytes(Chunks);

/// Position of one prepared piece in its app's bytes: the encodings, slot by slot.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Prepared {
    start: u32,
    lengths: [u32; SLOTS],
}

impl Prepared {
    /// Returns the range of a slot in the piece.
    fn range(self, slot: usize) -> Range<usize> {
        let before: usize = self
            .lengths
            .iter()
            .take(slot)
            .map(|length| *length as usize)
            .sum();
        before..before + self.lengths[slot] as usize
    }
}

impl PreparedBytes {
    /// Returns the bytes of a slot. The bytes must contain the piece.
    pub(super) fn get(&self, prepared: Prepared, slot: usize) -> &[u8] {
        &self.0.starting_at(prepared.start)[prepared.range(slot)]
    }

    /// Requires that the bytes contain the piece.
    pub(super) fn require(&self, prepared: Prepared) -> Result<(), LayoutError> {
        let is_within = prepared.range(SLOTS - 1).end <= self.0.starting_at(prepared.start).len();
        is_within
            .then_some(())
            .ok_or(LayoutError::InvalidReference("prepared bytes"))
    }

    pub(super) fn byte_count(&self) -> usize {
        self.0.byte_count()
    }
}

/// Writer of an app's prepared bytes.
pub(super) struct PreparedWriter<'a> {
    encoders: &'a OfferEncoders,
    bytes: Vec<u8>,
    /// Ends of the pieces.
    ends: Vec<usize>,
}

impl<'a> PreparedWriter<'a> {
    pub(super) fn new(encoders: &'a OfferEncoders) -> Self {
        Self {
            encoders,
            bytes: Vec::new(),
            ends: Vec::new(),
        }
    }

    pub(super) fn add_release(&mut self, app: &App, release: &Release) -> Prepared {
        self.add(|encoder, out| encoder.encode_release(app, release, out))
    }

    pub(super) fn add_app(&mut self, app: &App) -> Prepared {
        self.add(|encoder, out| encoder.encode_app(app, out))
    }

    fn add(&mut self, encode: impl Fn(&dyn OfferEncoder, &mut Vec<u8>)) -> Prepared {
        let bytes = &mut self.bytes;
        let start = bytes.len();
        let lengths = self.encoders.map(|encoder| {
            let start = bytes.len();
            encode(encoder, bytes);
            index(bytes.len() - start)
        });
        self.ends.push(bytes.len());
        Prepared {
            start: index(start),
            lengths,
        }
    }

    /// Returns the bytes, unless positions cannot address all of them.
    pub(super) fn into_bytes(self) -> Result<PreparedBytes, LayoutError> {
        require_addressable(self.bytes.len(), "prepared bytes")?;
        Ok(PreparedBytes(Chunks::of(&self.bytes, &self.ends)))
    }
}
