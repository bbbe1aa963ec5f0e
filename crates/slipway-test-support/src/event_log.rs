//! What was done in a long run, when, and what was wrong.

use std::fmt::Write;
use std::sync::Mutex;
use std::time::Instant;

use super::node::NodeProcess;

pub struct EventLog {
    wrong: Mutex<Vec<String>>,
    log: Mutex<Vec<String>>,
    begun: Instant,
}

impl EventLog {
    pub fn begin() -> Self {
        Self {
            wrong: Mutex::default(),
            log: Mutex::default(),
            begun: Instant::now(),
        }
    }

    pub fn say(&self, what: &str) {
        let line = format!("{:7.3} {what}", self.begun.elapsed().as_secs_f64());
        self.log.lock().unwrap().push(line);
    }

    /// Notes that something is wrong; the runner fails at its next look.
    pub fn report(&self, wrong: String) {
        self.say(&format!("WRONG: {wrong}"));
        self.wrong.lock().unwrap().push(wrong);
    }

    pub fn is_right(&self) -> bool {
        self.wrong.lock().unwrap().is_empty()
    }

    /// Everything that helps to understand a failure.
    pub fn tell<'a>(&self, nodes: impl Iterator<Item = &'a NodeProcess>) -> String {
        let mut event_log = self.log.lock().unwrap().join("\n");
        for node in nodes {
            let (number, log) = (node.number, node.log().join("\n"));
            write!(event_log, "\nnode {number} said last:\n{log}").expect("a string takes everything");
        }
        event_log
    }
}
