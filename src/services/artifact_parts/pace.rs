//! Minimum rate of a download, so that slow readers do not keep the permits of others for hours.

use std::time::{Duration, Instant};

/// Bytes over which the rate is averaged. It exceeds the pieces of a store and the buffers of a slow connection.
const AVERAGED_BYTES: u64 = 512 << 10;

/// Minimum rate of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinRate {
    bytes_per_s: u64,
}

/// Progress of one download.
#[derive(Debug)]
pub(in crate::services) struct Pace {
    /// `None` if any rate is accepted.
    slowest: Option<MinRate>,
    /// Instant and offset at the beginning of the current period.
    began: Instant,
    offset: u64,
}

/// The client reads more slowly than the minimum rate. It can resume the download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::services) struct TooSlow;

impl MinRate {
    /// Returns `None` for 0.
    pub fn new(bytes_per_s: u64) -> Option<Self> {
        (bytes_per_s > 0).then_some(Self { bytes_per_s })
    }

    /// Returns the time that the averaged bytes may take.
    fn period(self) -> Duration {
        Duration::from_millis(AVERAGED_BYTES * 1_000 / self.bytes_per_s)
    }

    fn bytes_within(self, time: Duration) -> u128 {
        u128::from(self.bytes_per_s) * time.as_millis() / 1_000
    }
}

impl Pace {
    pub(in crate::services) const fn new(slowest: Option<MinRate>, now: Instant, offset: u64) -> Self {
        Self {
            slowest,
            began: now,
            offset,
        }
    }

    /// Fails if the bytes up to `offset` arrived too slowly. Called when the connection accepts the next piece.
    pub(in crate::services) fn advance(&mut self, now: Instant, offset: u64) -> Result<(), TooSlow> {
        let Some(slowest) = self.slowest else {
            return Ok(());
        };
        let elapsed = now.saturating_duration_since(self.began);
        if elapsed < slowest.period() {
            return Ok(());
        }
        if u128::from(offset - self.offset) < slowest.bytes_within(elapsed) {
            metrics::counter!("slipway_downloads_too_slow_total").increment(1);
            return Err(TooSlow);
        }
        (self.began, self.offset) = (now, offset);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timer;

    const KIB: u64 = 1 << 10;

    /// Reads at this rate in pieces of this size, and returns the seconds after which the download is ended.
    fn ended_after(rate: u64, piece: u64, slowest: u64) -> Option<u64> {
        let began = timer::now();
        let mut pace = Pace::new(MinRate::new(slowest), began, 1_000);
        (1..=1_000).find_map(|pieces| {
            let elapsed = Duration::from_millis(pieces * piece * 1_000 / rate);
            let is_ended = pace.advance(began + elapsed, 1_000 + pieces * piece).is_err();
            is_ended.then_some(elapsed.as_secs())
        })
    }

    #[test]
    fn slow_readers_are_ended_within_minutes() {
        for (rate, piece, expected) in [
            (2 * KIB, 128 * KIB, Some(64)),
            (2 * KIB, 512 * KIB, Some(256)),
            (7 * KIB, 128 * KIB, Some(73)),
            (8 * KIB, 128 * KIB, None),
            (8 * KIB, 512 * KIB, None),
            (1_000 * KIB, 512 * KIB, None),
        ] {
            assert_eq!(ended_after(rate, piece, 8 * KIB), expected, "{rate} {piece}");
        }
        assert_eq!(ended_after(KIB, 128 * KIB, 0), None);
    }

    #[test]
    fn a_reader_that_becomes_slow_is_ended() {
        let began = timer::now();
        let mut pace = Pace::new(MinRate::new(8 * KIB), began, 0);
        let after = |seconds| began + Duration::from_secs(seconds);
        assert_eq!(pace.advance(after(1), 100_000 * KIB), Ok(()));
        assert_eq!(pace.advance(after(70), 100_128 * KIB), Ok(()));
        assert_eq!(pace.advance(after(140), 100_256 * KIB), Err(TooSlow));
    }
}
