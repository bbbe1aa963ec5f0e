//! Bytes in a few allocations, divided between pieces where the allocator adds least.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::list_ref::index;

/// Maximum size of a chunk that has several pieces. Allocators round larger sizes up by kilobytes.
const CHUNK_BYTES: usize = 32 * 1024;
/// Maximum number of pieces in a chunk, which bounds the search for its end.
const CHUNK_PIECES: usize = 64;
/// Size classes of an allocator between two powers of two, as in mimalloc and jemalloc.
const CLASSES: usize = 4;

/// Consecutive bytes in chunks. A piece never spans two of them.
#[derive(Debug)]
pub(super) struct Chunks(Box<[Chunk]>);

#[derive(Debug)]
struct Chunk {
    /// Position of its first byte among all bytes.
    start: u32,
    bytes: Box<[u8]>,
}

impl Chunks {
    /// Copies bytes that consist of pieces with these ends.
    pub(super) fn of(bytes: &[u8], ends: &[usize]) -> Self {
        let mut start = 0;
        let chunks = chunk_ends(ends).into_iter().map(|end| {
            let chunk = &bytes[start..end];
            start = end;
            Box::from(chunk)
        });
        Self::from_chunks(chunks.collect())
    }

    fn from_chunks(chunks: Vec<Box<[u8]>>) -> Self {
        let mut start = 0;
        let chunks = chunks.into_iter().map(|bytes| {
            let chunk = Chunk {
                start: index(start),
                bytes,
            };
            start += chunk.bytes.len();
            chunk
        });
        let mut all = Vec::with_capacity(chunks.len());
        all.extend(chunks);
        Self(all.into())
    }

    /// Returns the bytes from a position to the end of its chunk; none outside of all bytes.
    pub(super) fn starting_at(&self, position: u32) -> &[u8] {
        let after = self.0.partition_point(|chunk| chunk.start <= position);
        let chunk = after.checked_sub(1).and_then(|chunk| self.0.get(chunk));
        let rest = chunk.and_then(|chunk| chunk.bytes.get((position - chunk.start) as usize..));
        rest.unwrap_or_default()
    }

    pub(super) fn byte_count(&self) -> usize {
        self.0.iter().map(|chunk| chunk.bytes.len()).sum()
    }
}

/// Returns the ends of the chunks whose blocks take the least memory in all.
fn chunk_ends(ends: &[usize]) -> Vec<usize> {
    // For each number of pieces, the size of the blocks that have these pieces, and the number of pieces before the last.
    let mut best = vec![(0, 0)];
    for count in 1..=ends.len() {
        let size_from = |before: usize| ends[count - 1] - before.checked_sub(1).map_or(0, |last| ends[last]);
        let least = (count.saturating_sub(CHUNK_PIECES)..count)
            .rev()
            .take_while(|before| before + 1 == count || size_from(*before) <= CHUNK_BYTES)
            .map(|before| {
                let (blocks, _) = best[before];
                (
                    blocks + block_size(size_from(before)) + size_of::<Chunk>(),
                    before,
                )
            })
            .min();
        best.extend(least);
    }
    let mut chunk_ends = Vec::new();
    let mut count = ends.len();
    while count > 0 {
        chunk_ends.push(ends[count - 1]);
        count = best[count].1;
    }
    chunk_ends.reverse();
    chunk_ends
}

/// Returns the size of the block that an allocator uses for this many bytes.
fn block_size(bytes: usize) -> usize {
    let step = (bytes.next_power_of_two() / (2 * CLASSES)).max(16);
    bytes.next_multiple_of(step)
}

impl Serialize for Chunks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|chunk| &chunk.bytes))
    }
}

impl<'de> Deserialize<'de> for Chunks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from_chunks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that differ, in pieces of these sizes.
    fn pieces(sizes: &[usize]) -> (Vec<u8>, Vec<usize>) {
        let bytes = (0..sizes.iter().sum()).map(|number: usize| number.to_le_bytes()[0]);
        let ends = sizes.iter().scan(0, |end, size| {
            *end += size;
            Some(*end)
        });
        (bytes.collect(), ends.collect())
    }

    #[test]
    fn every_piece_is_found_whole() {
        for sizes in [
            vec![],
            vec![0],
            vec![0, 7, 0],
            vec![40_000, 3, 40_000],
            vec![1_034; 200],
        ] {
            let (bytes, ends) = pieces(&sizes);
            let chunks = Chunks::of(&bytes, &ends);
            assert_eq!(chunks.byte_count(), bytes.len());
            for (end, size) in ends.iter().zip(&sizes) {
                let piece = &bytes[end - size..*end];
                assert!(
                    chunks.starting_at(index(end - size)).starts_with(piece),
                    "{size} of {sizes:?}"
                );
            }
            assert!(chunks.starting_at(u32::MAX).is_empty());
        }
    }

    #[test]
    fn blocks_are_little_larger_than_their_bytes() {
        for size in [100, 900, 1_034, 1_100, 5_000] {
            let (bytes, ends) = pieces(&vec![size; 50]);
            let chunks = Chunks::of(&bytes, &ends);
            let blocks: usize = chunks.0.iter().map(|chunk| block_size(chunk.bytes.len())).sum();
            assert!(blocks < bytes.len() + bytes.len() / 20, "{blocks} for {size}");
        }
    }

    #[test]
    fn blocks_have_four_sizes_between_powers_of_two() {
        for (bytes, block) in [(0, 0), (1, 16), (1_024, 1_024), (1_034, 1_280), (30_000, 32_768)] {
            assert_eq!(block_size(bytes), block, "{bytes}");
        }
    }
}
