//! Table of the results, in the form of `docs/benchmarks.md`.

use std::fs;

use crate::measure::Rounds;

/// Limit (`must`) and target (`aim`) of a figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtLeast { must: f64, aim: f64 },
    AtMost { must: f64, aim: f64 },
}

impl Goal {
    fn both(self) -> (f64, f64) {
        match self {
            Self::AtLeast { must, aim } | Self::AtMost { must, aim } => (must, aim),
        }
    }

    fn verdict(self, value: f64) -> &'static str {
        let reaches = |bound: f64| match self {
            Self::AtLeast { .. } => value >= bound,
            Self::AtMost { .. } => value <= bound,
        };
        let (must, aim) = self.both();
        if reaches(aim) {
            "aim"
        } else if reaches(must) {
            "yes"
        } else {
            "**no**"
        }
    }
}

#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<String>,
    notes: Vec<String>,
}

impl Report {
    /// Adds a figure with its unit and a remark.
    pub(crate) fn figure(&mut self, what: &str, goal: Goal, (figure, unit): (Rounds, &str), seen: &str) {
        let (must, aim) = goal.both();
        let sign = match goal {
            Goal::AtLeast { .. } => "≥",
            Goal::AtMost { .. } => "≤",
        };
        let row = format!(
            "| {what} | {sign} {} | {} | **{}** | {} – {} | {} | {seen} |",
            written(must, unit),
            written(aim, unit),
            written(figure.median, unit),
            written(figure.lowest, unit),
            written(figure.highest, unit),
            goal.verdict(figure.median),
        );
        eprintln!("{row}");
        self.rows.push(row);
    }

    /// Adds a note below the table.
    pub(crate) fn note(&mut self, text: String) {
        eprintln!("{text}");
        self.notes.push(text);
    }

    pub(crate) fn print(&self, heading: &str) {
        println!("{heading}\n\n{}\n", machine());
        println!("| what | at least | aim | measured | rounds | met | seen |");
        println!("| --- | --- | --- | --- | --- | --- | --- |");
        for row in &self.rows {
            println!("{row}");
        }
        for note in &self.notes {
            println!("\n{note}");
        }
    }
}

fn written(value: f64, unit: &str) -> String {
    let digits = match value.abs() {
        0.0..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    let blank = if unit.is_empty() { "" } else { " " };
    format!("{value:.digits$}{blank}{unit}")
}

/// Returns the processor, cores, memory and kernel.
fn machine() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("an unknown processor", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|text| text.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0);
    // Other load distorts the figures, so the report states it.
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').nth(2).unwrap_or("?");
    let (memory_gib, kernel) = (kilobytes >> 20, kernel.trim());
    format!(
        "Machine: {model}, {cores} cores, {memory_gib} GiB, Linux {kernel}; mean load of the last 15 minutes {load}."
    )
}
