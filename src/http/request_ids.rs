//! Request ids: unique and cheap, but not secret.

use std::cell::Cell;

use crate::random;

thread_local! {
    /// Last number of this thread. It starts at random, so that threads and nodes use different ranges.
    static NEXT: Cell<u64> = Cell::new(random::uuid().as_u64_pair().0);
}

/// Returns a number for a request. Numbers of one thread are unique. Numbers of different threads collide as rarely as
/// random 64-bit numbers.
pub(crate) fn next() -> u64 {
    let count = NEXT.get().wrapping_add(1);
    NEXT.set(count);
    mix_bits(count)
}

/// Permutes the numbers, so that consecutive ones appear unrelated (the finalizer of `SplitMix64`).
const fn mix_bits(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_name_comes_twice() {
        let names: HashSet<_> = std::iter::repeat_with(next).take(10_000).collect();
        assert_eq!(names.len(), 10_000);
    }
}
