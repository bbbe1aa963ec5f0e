//! Names for requests: unique, cheap, and no secret.

use std::cell::Cell;

use uuid::Uuid;

thread_local! {
    /// Where this thread's names go on; it begins at random, so that threads and nodes do not meet.
    static NEXT: Cell<u64> = Cell::new(Uuid::new_v4().as_u64_pair().0);
}

/// A number that no other request has: of one thread surely, else as surely as 64 random bits differ.
pub(super) fn next() -> u64 {
    let count = NEXT.get().wrapping_add(1);
    NEXT.set(count);
    scatter(count)
}

/// A permutation of the numbers after which neighbours look unrelated (the finalizer of `SplitMix64`).
const fn scatter(number: u64) -> u64 {
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
