//! Adoption of a resource over time: stacked bars by day, and the same numbers as a table.

use std::fmt::Write as _;

use chrono::{Days, NaiveDate};

use super::format::count;
use crate::services::adoption::{AdoptionHistory, HistoryQuery};
use slipway_domain::catalog::adoption::{AdoptionCounts, DailyAdoption, ResourceHistory};
use slipway_domain::catalog::text::Identifier;
use slipway_domain::catalog::version::VersionCode;

/// Days of the chart, today included.
const DAYS: u16 = 30;
/// Number of versions with a colour of their own. The others share the last one.
const VERSIONS: usize = 4;
/// Height of the chart in the units of its drawing.
const HEIGHT: u64 = 200;
/// Width of a day, with the gap to the next one.
const DAY_WIDTH: u64 = 10;
const BAR_WIDTH: u64 = 9;

/// Chart of one resource.
pub(super) struct History {
    pub(super) first_day: String,
    pub(super) last_day: String,
    /// Number of devices at the full height.
    pub(super) most_devices: String,
    pub(super) width: u64,
    pub(super) series: Vec<Series>,
    /// Newest day first.
    pub(super) rows: Vec<Row>,
}

/// Bars of one version, or of all other versions.
pub(super) struct Series {
    /// Number of its colour.
    pub(super) colour: usize,
    /// Version code; `None` for all other versions.
    pub(super) version: Option<i64>,
    /// Path of its bars.
    pub(super) path: String,
}

/// Numbers of one day.
pub(super) struct Row {
    pub(super) day: String,
    /// Devices in the order of the series.
    pub(super) devices: Vec<String>,
    pub(super) total: String,
}

/// Returns the query for the charts of these resources.
pub(super) fn query_of(identifiers: Vec<Identifier>) -> HistoryQuery {
    HistoryQuery {
        resources: identifiers.len(),
        identifiers,
        days: DAYS,
        versions: VERSIONS,
    }
}

impl History {
    /// Draws the chart of one resource. Returns `None` if no device had it.
    pub(super) fn of_resource(history: &AdoptionHistory, identifier: &Identifier) -> Option<Self> {
        let mut resources = history.resources.iter();
        let found = resources.find(|found| found.identifier == *identifier)?;
        Self::of(found, history.to)
    }

    /// Draws the days up to `last_day`. Returns `None` if no device had the resource on any of them.
    pub(super) fn of(history: &ResourceHistory, last_day: NaiveDate) -> Option<Self> {
        let first_day = last_day - Days::new(u64::from(DAYS) - 1);
        let most = history.days.iter().map(|day| day.counts.total()).max()?;
        if most == 0 {
            return None;
        }
        let has_others = history.days.iter().any(|day| day.counts.others > 0);
        let versions: Vec<_> = history.versions.iter().copied().map(Some).collect();
        let versions = versions.into_iter().chain(has_others.then_some(None));
        let mut series: Vec<_> = versions
            .enumerate()
            .map(|(index, version)| Series {
                colour: if version.is_some() { index } else { VERSIONS },
                version: version.map(VersionCode::get),
                path: String::new(),
            })
            .collect();
        for day in &history.days {
            let x = u64::try_from((day.day - first_day).num_days()).ok()? * DAY_WIDTH;
            draw(&mut series, &day.counts, x, most);
        }
        Some(Self {
            first_day: first_day.to_string(),
            last_day: last_day.to_string(),
            most_devices: count(most),
            width: u64::from(DAYS) * DAY_WIDTH,
            rows: history
                .days
                .iter()
                .rev()
                .map(|day| Row::of(day, &series))
                .collect(),
            series,
        })
    }
}

impl Series {
    fn devices_of(&self, counts: &AdoptionCounts) -> u64 {
        let version = self.version.and_then(|version| VersionCode::new(version).ok());
        version.map_or(counts.others, |version| counts.devices_on(version))
    }
}

impl Row {
    fn of(day: &DailyAdoption, series: &[Series]) -> Self {
        Self {
            day: day.day.to_string(),
            devices: series
                .iter()
                .map(|one| count(one.devices_of(&day.counts)))
                .collect(),
            total: count(day.counts.total()),
        }
    }
}

/// Stacks the bars of one day, the last series at the bottom.
fn draw(series: &mut [Series], counts: &AdoptionCounts, x: u64, most: u64) {
    let height_of = |devices: u64| {
        let height = u128::from(devices) * u128::from(HEIGHT) / u128::from(most);
        u64::try_from(height).unwrap_or(HEIGHT)
    };
    let mut below = 0;
    for one in series.iter_mut().rev() {
        let base = height_of(below);
        below += one.devices_of(counts);
        let height = height_of(below) - base;
        if height > 0 {
            let y = HEIGHT - base - height;
            // Writing to a string cannot fail.
            let _ = write!(one.path, "M{x} {y}h{BAR_WIDTH}v{height}h-{BAR_WIDTH}z");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipway_domain::catalog::adoption::VersionDevices;

    fn history(days: Vec<DailyAdoption>) -> ResourceHistory {
        ResourceHistory::of(Identifier::parse("com.example").unwrap(), days, VERSIONS)
    }

    fn day(date: &str, versions: &[(i64, u64)], others: u64) -> DailyAdoption {
        let count = |&(version, devices): &(i64, u64)| VersionDevices {
            version_code: VersionCode::new(version).unwrap(),
            devices,
        };
        DailyAdoption {
            day: date.parse().unwrap(),
            counts: AdoptionCounts {
                versions: versions.iter().map(count).collect(),
                others,
            },
        }
    }

    #[test]
    fn bars_are_stacked_and_days_without_a_count_are_gaps() {
        let days = vec![
            day("2026-03-01", &[(2, 1), (1, 3)], 0),
            day("2026-03-03", &[(2, 2)], 0),
        ];
        let chart = History::of(&history(days), "2026-03-03".parse().unwrap()).unwrap();
        let paths: Vec<_> = chart.series.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(paths, ["M270 0h9v50h-9zM290 100h9v100h-9z", "M270 50h9v150h-9z"]);
        assert_eq!((chart.first_day.as_str(), chart.width), ("2026-02-02", 300));
        assert_eq!(chart.most_devices, "4");
        let rows: Vec<_> = chart.rows.iter().map(|row| row.devices.join(" ")).collect();
        assert_eq!(rows, ["2 0", "1 3"]);
        assert_eq!(chart.rows[0].day, "2026-03-03");
    }

    #[test]
    fn versions_without_a_colour_share_the_last_one() {
        let versions = [(6, 1), (5, 2), (4, 3), (3, 4), (2, 5), (1, 6)];
        let days = vec![day("2026-03-03", &versions, 4)];
        let chart = History::of(&history(days), "2026-03-03".parse().unwrap()).unwrap();
        let shown: Vec<_> = chart.series.iter().map(|one| (one.colour, one.version)).collect();
        assert_eq!(
            shown,
            [(0, Some(4)), (1, Some(3)), (2, Some(2)), (3, Some(1)), (4, None)]
        );
        assert_eq!(chart.rows[0].devices[4], "7");
        assert_eq!(chart.rows[0].total, "25");
    }

    #[test]
    fn nothing_is_drawn_without_devices() {
        let today = "2026-03-03".parse().unwrap();
        assert!(History::of(&history(Vec::new()), today).is_none());
        assert!(History::of(&history(vec![day("2026-03-03", &[], 0)]), today).is_none());
    }
}
