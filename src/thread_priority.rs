//! Priority of threads for work that must leave the cores to checks.

/// Lowers the priority of the current thread; `niceness` is 0 to 19, as `nice` counts. Only Linux has priorities per
/// thread. Elsewhere this does nothing, because it would slow down the whole process.
pub(crate) fn lower(niceness: i32) {
    // Without a lower priority the work is still done.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, niceness);
    #[cfg(not(target_os = "linux"))]
    let _ = niceness;
}
