//! Prepared bytes of offers: encoded once when an app is compiled, and copied into answers.
//!
//! The resolver stores the bytes and does not know what they mean. [`OfferEncoders`] write them, one encoder for each
//! slot.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::error::LayoutError;
use super::list_ref::index;
use slipway_domain::catalog::app::App;
use slipway_domain::catalog::release::Release;

/// Number of encodings of an offer.
const SLOTS: usize = 2;

/// Size of one allocation in bytes. Allocators round large allocations up by several kilobytes, which adds up over many
/// small apps. This size is allocated exactly.
const CHUNK_BYTES: usize = 32 * 1024;

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

/// All prepared bytes of an app, in chunks.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PreparedBytes(Box<[Box<[u8]>]>);

/// Position of one prepared piece in its app's bytes: the encodings, slot by slot.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Prepared {
    chunk: u32,
    start: u32,
    lengths: [u32; SLOTS],
}

impl Prepared {
    /// Returns the range of a slot in the chunk.
    fn range(self, slot: usize) -> Range<usize> {
        let before: usize = self
            .lengths
            .iter()
            .take(slot)
            .map(|length| *length as usize)
            .sum();
        let start = self.start as usize + before;
        start..start + self.lengths[slot] as usize
    }
}

impl PreparedBytes {
    /// Returns the bytes of a slot. The bytes must contain the piece.
    pub(super) fn get(&self, prepared: Prepared, slot: usize) -> &[u8] {
        &self.0[prepared.chunk as usize][prepared.range(slot)]
    }

    /// Requires that the bytes contain the piece.
    pub(super) fn require(&self, prepared: Prepared) -> Result<(), LayoutError> {
        let chunk = self.0.get(prepared.chunk as usize);
        let is_within = chunk.is_some_and(|chunk| prepared.range(SLOTS - 1).end <= chunk.len());
        is_within
            .then_some(())
            .ok_or(LayoutError::InvalidReference("prepared bytes"))
    }

    pub(super) fn byte_count(&self) -> usize {
        self.0.iter().map(|chunk| chunk.len()).sum()
    }
}

/// Writer of an app's prepared bytes.
pub(super) struct PreparedWriter<'a> {
    encoders: &'a OfferEncoders,
    full: Vec<Box<[u8]>>,
    open: Vec<u8>,
    next: Vec<u8>,
}

impl<'a> PreparedWriter<'a> {
    pub(super) fn new(encoders: &'a OfferEncoders) -> Self {
        Self {
            encoders,
            full: Vec::new(),
            open: Vec::new(),
            next: Vec::new(),
        }
    }

    pub(super) fn add_release(&mut self, app: &App, release: &Release) -> Prepared {
        self.add(|encoder, out| encoder.encode_release(app, release, out))
    }

    pub(super) fn add_app(&mut self, app: &App) -> Prepared {
        self.add(|encoder, out| encoder.encode_app(app, out))
    }

    fn add(&mut self, encode: impl Fn(&dyn OfferEncoder, &mut Vec<u8>)) -> Prepared {
        self.next.clear();
        let next = &mut self.next;
        let lengths = self.encoders.map(|encoder| {
            let start = next.len();
            encode(encoder, next);
            index(next.len() - start)
        });
        if self.open.len() + self.next.len() > CHUNK_BYTES {
            self.close_chunk();
        }
        let start = self.open.len();
        self.open.extend_from_slice(&self.next);
        Prepared {
            chunk: index(self.full.len()),
            start: index(start),
            lengths,
        }
    }

    fn close_chunk(&mut self) {
        if !self.open.is_empty() {
            // Copied, because after shrinking in place the allocator would keep up to half as much again.
            self.full.push(Box::from(self.open.as_slice()));
            self.open.clear();
        }
    }

    pub(super) fn into_bytes(mut self) -> PreparedBytes {
        self.close_chunk();
        PreparedBytes(self.full.into())
    }
}
