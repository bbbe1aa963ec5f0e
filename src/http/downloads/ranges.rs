//! Byte ranges (RFC 9110, section 14.1.2).

use std::ops::Range;

/// Effect of a `Range` header on the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RangeEffect {
    /// The header is absent, invalid, in another unit, or asks for several ranges: send everything.
    Whole,
    Part(Range<u64>),
    /// No requested byte exists.
    Unsatisfiable,
}

/// Evaluates a `Range` header for content of this length.
pub(super) fn evaluate(header: &str, length: u64) -> RangeEffect {
    let Some((unit, list)) = header.split_once('=') else {
        return RangeEffect::Whole;
    };
    let mut ranges = list.split(',').map(str::trim).filter(|range| !range.is_empty());
    match (ranges.next(), ranges.next()) {
        (Some(range), None) if unit.trim().eq_ignore_ascii_case("bytes") => {
            evaluate_one(range, length).unwrap_or(RangeEffect::Whole)
        }
        _ => RangeEffect::Whole,
    }
}

/// Evaluates one range; `None` if it is invalid.
fn evaluate_one(range: &str, length: u64) -> Option<RangeEffect> {
    let (first, last) = range.split_once('-')?;
    if first.is_empty() {
        let suffix = number(last)?;
        return Some(match (suffix, length) {
            (0, _) => RangeEffect::Unsatisfiable,
            // There is no range of nothing.
            (_, 0) => RangeEffect::Whole,
            _ => RangeEffect::Part(length.saturating_sub(suffix)..length),
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    Some(if first < length {
        RangeEffect::Part(first..last.saturating_add(1).min(length))
    } else {
        RangeEffect::Unsatisfiable
    })
}

/// Parses a number of digits alone. One that is too large is larger than any file.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_rfc() {
        use RangeEffect::{Part, Unsatisfiable, Whole};
        for (header, effect) in [
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-9", Part(0..10)),
            ("bytes=0-99", Part(0..10)),
            ("bytes=9-", Part(9..10)),
            ("Bytes = 3-4", Part(3..5)),
            ("bytes=-3", Part(7..10)),
            ("bytes=-10", Part(0..10)),
            ("bytes=-11", Part(0..10)),
            ("bytes=0-99999999999999999999999", Part(0..10)),
            ("bytes=,1-2,", Part(1..3)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=2-1", Whole),
            ("bytes=0-1,3-4", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("items=0-1", Whole),
            ("0-1", Whole),
            ("", Whole),
        ] {
            assert_eq!(evaluate(header, 10), effect, "{header}");
        }
        assert_eq!(evaluate("bytes=-5", 0), Whole);
        assert_eq!(evaluate("bytes=0-", 0), Unsatisfiable);
    }

    /// Compares with the slice that a reader of the RFC would cut.
    #[test]
    fn random_ranges_select_the_same_bytes_as_a_slice() {
        let mut random = fastrand::Rng::with_seed(16);
        for _ in 0..10_000 {
            let content: Vec<u8> = (0..random.u8(..50)).collect();
            let (a, b) = (random.usize(..60), random.usize(..60));
            let (header, expected) = match random.u8(..3) {
                0 => (format!("bytes={a}-{b}"), reference(&content, Some(a), Some(b))),
                1 => (format!("bytes={a}-"), reference(&content, Some(a), None)),
                _ => (format!("bytes=-{b}"), reference(&content, None, Some(b))),
            };
            let selected = match evaluate(&header, content.len() as u64) {
                RangeEffect::Whole => Some(content.clone()),
                RangeEffect::Part(range) => {
                    let ends = [range.start, range.end].map(|end| usize::try_from(end).unwrap());
                    assert!(ends[0] < ends[1], "{header} of {}", content.len());
                    Some(content[ends[0]..ends[1]].to_vec())
                }
                RangeEffect::Unsatisfiable => None,
            };
            assert_eq!(selected, expected, "{header} of {}", content.len());
        }
    }

    /// Returns the selected bytes, everything if the header is ignored, or `None` for 416.
    fn reference(content: &[u8], first: Option<usize>, last: Option<usize>) -> Option<Vec<u8>> {
        let mut selected: Vec<u8> = Vec::new();
        match (first, last) {
            (Some(first), Some(last)) if last < first => return Some(content.to_vec()),
            (Some(first), last) => {
                for (index, byte) in content.iter().enumerate() {
                    if index >= first && last.is_none_or(|last| index <= last) {
                        selected.push(*byte);
                    }
                }
            }
            (None, Some(suffix)) if suffix > 0 => {
                for (index, byte) in content.iter().enumerate() {
                    if index + suffix >= content.len() {
                        selected.push(*byte);
                    }
                }
                return Some(selected);
            }
            (None, _) => {}
        }
        (!selected.is_empty()).then_some(selected)
    }
}
