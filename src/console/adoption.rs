//! Adoption of a resource's versions: a stacked bar, and the same numbers as a table.

use super::format::count;
use slipway_domain::catalog::adoption::AdoptionCounts;

/// Number of versions with a segment of their own. The others share the last one.
const SEGMENTS: usize = 4;
/// Width of the whole bar in the units of its drawing.
const WIDTH: u64 = 1_000;

pub(super) struct Adoption {
    pub(super) segments: Vec<Segment>,
    pub(super) total: String,
}

pub(super) struct Segment {
    /// Number of its colour.
    pub(super) colour: usize,
    pub(super) x: u64,
    pub(super) width: u64,
    /// Version code; `None` for all other versions.
    pub(super) version: Option<i64>,
    pub(super) devices: String,
    pub(super) percent: String,
}

impl Adoption {
    /// Returns the adoption of one resource; `None` if no device has it.
    pub(super) fn of(counts: &AdoptionCounts) -> Option<Self> {
        let total = counts.total();
        if total == 0 {
            return None;
        }
        let (own, rest) = counts.versions.split_at(counts.versions.len().min(SEGMENTS));
        let mut parts: Vec<_> = own
            .iter()
            .map(|count| (Some(count.version_code.get()), count.devices))
            .collect();
        let others = rest.iter().map(|count| count.devices).sum::<u64>() + counts.others;
        if others > 0 {
            parts.push((None, others));
        }
        let mut before = 0;
        let mut segments = Vec::new();
        for (colour, (version, devices)) in parts.into_iter().enumerate() {
            let x = before * WIDTH / total;
            before += devices;
            segments.push(Segment {
                colour,
                x,
                width: before * WIDTH / total - x,
                version,
                devices: count(devices),
                percent: percent(devices, total),
            });
        }
        Some(Self {
            segments,
            total: count(total),
        })
    }
}

fn percent(part: u64, whole: u64) -> String {
    let tenths = (u128::from(part) * 1_000 + u128::from(whole) / 2) / u128::from(whole);
    format!("{}.{}%", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use slipway_domain::catalog::adoption::VersionDevices;
    use slipway_domain::catalog::version::VersionCode;

    use super::*;

    #[test]
    fn segments_fill_the_bar_and_the_rest_is_one() {
        let versions = [3, 3, 1, 1, 1].into_iter().zip((6..=10).rev());
        let versions = versions.map(|(devices, version)| VersionDevices {
            version_code: VersionCode::of_release(version).unwrap(),
            devices,
        });
        let counts = AdoptionCounts {
            versions: versions.collect(),
            others: 1,
        };
        let adoption = Adoption::of(&counts).unwrap();
        assert_eq!(adoption.segments.len(), SEGMENTS + 1);
        assert_eq!(
            adoption.segments.iter().map(|segment| segment.width).sum::<u64>(),
            WIDTH
        );
        assert_eq!(adoption.segments[0].percent, "30.0%");
        assert_eq!(adoption.segments[4].version, None);
        assert_eq!(adoption.segments[4].devices, "2");
        let none = AdoptionCounts {
            versions: Vec::new(),
            others: 0,
        };
        assert!(Adoption::of(&none).is_none());
    }
}
