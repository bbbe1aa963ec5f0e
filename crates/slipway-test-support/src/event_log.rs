//! Log of the events and failures of a long run.

use std::fmt::Write;
use std::sync::Mutex;
use std::time::Instant;

use super::node::NodeProcess;

pub struct EventLog {
    failures: Mutex<Vec<String>>,
    lines: Mutex<Vec<String>>,
    started: Instant,
}

impl Default for EventLog {
    fn default() -> Self {
        Self::new()
    }
}

impl EventLog {
    pub fn new() -> Self {
        Self {
            failures: Mutex::default(),
            lines: Mutex::default(),
            started: Instant::now(),
        }
    }

    pub fn log(&self, event: &str) {
        let line = format!("{:7.3} {event}", self.started.elapsed().as_secs_f64());
        self.lines.lock().unwrap().push(line);
    }

    /// Records a failure. The runner stops at its next check.
    pub fn report(&self, failure: String) {
        self.log(&format!("WRONG: {failure}"));
        self.failures.lock().unwrap().push(failure);
    }

    pub fn has_no_failures(&self) -> bool {
        self.failures.lock().unwrap().is_empty()
    }

    /// Returns the events and the last log lines of the nodes, for the message of a failed run.
    pub fn dump<'a>(&self, nodes: impl Iterator<Item = &'a NodeProcess>) -> String {
        let mut event_log = self.lines.lock().unwrap().join("\n");
        for node in nodes {
            let (number, log) = (node.number, node.log().join("\n"));
            write!(event_log, "\nnode {number} said last:\n{log}").expect("a string takes everything");
        }
        event_log
    }
}
