//! Logging of panics. The default hook prints to standard error, which could block.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};
use std::thread;

/// Installs a hook that logs every panic, with a backtrace if `RUST_BACKTRACE` is set.
pub(super) fn log_panics() {
    panic::set_hook(Box::new(log));
}

fn log(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("a panic without a message");
    let location = panic.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        message,
        location,
        thread = thread::current().name(),
        backtrace,
        "a thread panicked"
    );
}
