//! Memory prefetching. If an app is in no CPU cache, a decision waits for each piece in turn. Pieces at known addresses
//! can be requested together, and arrive in about the time of one.

use std::hint::black_box;

const LINE_BYTES: usize = 64;
/// Maximum number of cache lines read per list: enough for most apps, and cheap for larger ones.
const MAX_LINES: usize = 16;

/// Reads one item of each cache line at the beginning of a list. `number` reads a value of an item.
pub(super) fn prefetch<T>(list: &[T], number: impl Fn(&T) -> u32) {
    let items_in_a_line = (LINE_BYTES / size_of::<T>().max(1)).max(1);
    let items = list.iter().step_by(items_in_a_line).take(MAX_LINES);
    // The compiler would remove reads whose result is unused.
    black_box(items.fold(0, |seen, item| seen ^ number(item)));
}
