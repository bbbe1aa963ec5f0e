//! Reading ahead. Of an app that is in no cache every piece that a decision comes to is waited for in its turn; pieces
//! whose places are known are asked for together and come in about the time of one.

use std::hint::black_box;

const LINE_BYTES: usize = 64;
/// How many cache lines of one list are read: what most apps have, and little enough for those that have more.
const MOST_LINES: usize = 16;

/// Reads one item of each cache line at the beginning of a list; `number` reads something of an item.
pub(super) fn read_ahead<T>(list: &[T], number: impl Fn(&T) -> u32) {
    let items_in_a_line = (LINE_BYTES / size_of::<T>().max(1)).max(1);
    let items = list.iter().step_by(items_in_a_line).take(MOST_LINES);
    // What nothing is done with would not be read.
    black_box(items.fold(0, |seen, item| seen ^ number(item)));
}
