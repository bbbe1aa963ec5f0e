//! Registry of a node's tasks and their state.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Counter, Gauge, counter, gauge};
use tokio::sync::Notify;

use super::Importance;

/// The supervised tasks of one node.
#[derive(Clone, Default)]
pub struct Tasks(Arc<Mutex<BTreeMap<&'static str, Arc<Task>>>>);

/// Names of the tasks that are down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DownTasks {
    /// In alphabetical order.
    pub names: Vec<&'static str>,
    /// True if checks could be wrong without one of them.
    pub has_essential: bool,
}

/// A fault that tests inject into a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Panic,
    Return,
}

pub(super) struct Task {
    name: &'static str,
    importance: Importance,
    is_down: AtomicBool,
    restarts: Counter,
    down: Gauge,
    fault: Mutex<Option<Fault>>,
    fault_injected: Notify,
}

impl Tasks {
    /// Returns the tasks that are down now.
    pub fn down(&self) -> DownTasks {
        let tasks = self.lock();
        let down = tasks.values().filter(|task| task.is_down());
        down.fold(DownTasks::default(), |mut all, task| {
            all.names.push(task.name);
            all.has_essential |= task.importance == Importance::Essential;
            all
        })
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.lock().keys().copied().collect()
    }

    /// Makes a task fail at its next await, for tests. Returns `false` if there is no task of this name.
    pub fn inject(&self, name: &str, fault: Fault) -> bool {
        let task = self.lock().get(name).cloned();
        if let Some(task) = &task {
            *task.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
            task.fault_injected.notify_one();
        }
        task.is_some()
    }

    pub(super) fn register(&self, name: &'static str, importance: Importance) -> Arc<Task> {
        let task = Arc::new(Task {
            name,
            importance,
            is_down: AtomicBool::new(false),
            restarts: counter!("slipway_task_restarts_total", "task" => name),
            down: gauge!("slipway_task_down", "task" => name),
            fault: Mutex::default(),
            fault_injected: Notify::new(),
        });
        task.restarts.increment(0);
        task.down.set(0.0);
        let before = self.lock().insert(name, task.clone());
        debug_assert!(before.is_none(), "two tasks are called {name}");
        task
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Arc<Task>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task {
    pub(super) fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Acquire)
    }

    pub(super) fn fail(&self, reason: &str, wait: Duration) {
        self.is_down.store(true, Ordering::Release);
        self.down.set(1.0);
        self.restarts.increment(1);
        tracing::error!(
            task = self.name,
            reason,
            restart_in_ms = wait.as_secs_f64() * 1_000.0,
            "a background task failed and will be restarted"
        );
    }

    pub(super) fn recover(&self) {
        self.is_down.store(false, Ordering::Release);
        self.down.set(0.0);
        tracing::info!(task = self.name, "a background task recovered");
    }

    /// Marks a task that stopped on request. It is not down.
    pub(super) fn finish(&self) {
        self.is_down.store(false, Ordering::Release);
        self.down.set(0.0);
    }

    /// Waits for the next injected fault.
    pub(super) async fn injected_fault(&self) -> Fault {
        loop {
            self.fault_injected.notified().await;
            let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(fault) = fault {
                return fault;
            }
        }
    }
}
