//! Measured processes: their cores, resource use and termination.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command};
use std::time::Duration;

use anyhow::Context as _;

/// Core of the measured server.
pub(crate) const SERVER_CORE: &str = "0";
/// Core of the load generator.
pub(crate) const GENERATOR_CORE: &str = "1";
/// Unit of processor time in `/proc` on every current Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Returns the processor time in seconds of all processes whose command line starts with a text.
pub(crate) fn starts_with_cpu_seconds(command_line: &str) -> anyhow::Result<f64> {
    let mut seconds = 0.0;
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        // A process may exit at any moment.
        let Ok(line) = fs::read_to_string(path.join("cmdline")) else {
            continue;
        };
        if line.starts_with(command_line)
            && let Ok(stat) = fs::read_to_string(path.join("stat"))
        {
            seconds += cpu_seconds_in(&stat)?;
        }
    }
    Ok(seconds)
}

fn cpu_seconds_in(stat: &str) -> anyhow::Result<f64> {
    // The name, in brackets, may contain spaces. utime and stime are the 14th and 15th fields.
    let (_, fields) = stat.rsplit_once(')').context("/proc/…/stat has no name")?;
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse().unwrap_or(0.0))
        .sum();
    Ok(ticks / TICKS_PER_SECOND)
}

/// A server's process; killed when dropped.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("{command:?} cannot be started"))?;
        Ok(Self(child))
    }

    /// Returns the pipes of standard input and output; `None` unless the command has both.
    pub(crate) fn take_pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.0.stdin.take().zip(self.0.stdout.take())
    }

    /// Processor time in user and kernel mode so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        cpu_seconds_in(&fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?)
    }

    /// Memory that is resident now, in bytes.
    pub(crate) fn resident_bytes(&self) -> anyhow::Result<u64> {
        self.status_bytes("VmRSS:")
    }

    /// Largest resident memory since [`Process::forget_peak`], in bytes.
    pub(crate) fn peak_bytes(&self) -> anyhow::Result<u64> {
        self.status_bytes("VmHWM:")
    }

    /// Lets the peak of the resident memory begin at what is resident now.
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.0.id()), "5").context("the peak cannot be reset")
    }

    fn status_bytes(&self, name: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .with_context(|| format!("/proc/…/status has no {name}"))?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes * 1_024)
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ignores the error of a process that has already exited.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Builds a command that runs on one core.
pub(crate) fn on_core(core: &str, program: impl Into<PathBuf>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program.into());
    command
}

pub(crate) fn program_on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|program| program.exists())
}

/// Returns an address without a listener.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// Lets the machine become idle between two measurements.
pub(crate) fn settle() {
    std::thread::sleep(Duration::from_millis(300));
}
