//! Load of downloads in a process of its own on the generator's core.
//!
//! The generator reads files until it is killed, and reports the bytes so far on request. Bytes are counted rather than
//! files, so that a file may be larger than what is sent in a round.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use crate::arguments;
use crate::process::{GENERATOR_CORE, Process, on_core};

/// Time limit for every connection to receive its first bytes.
const BEGUN_WITHIN: Duration = Duration::from_secs(20);

/// Running generator of downloads. It ends when it is dropped.
pub(crate) struct DownloadLoad {
    /// Number of connections.
    connections: usize,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    _process: Process,
}

/// State of a generator.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Time since the start of the generator.
    pub(crate) seconds: f64,
    /// Received bytes of all files, without the heads of responses.
    pub(crate) bytes: u64,
    /// Number of connections that have received bytes of a file.
    pub(crate) begun: usize,
    /// First failure of a download.
    pub(crate) failure: Option<String>,
}

impl DownloadLoad {
    /// Starts the generator, and waits until every connection has received bytes.
    pub(crate) fn start(downloads: &arguments::Downloads) -> anyhow::Result<Self> {
        let mut command = on_core(GENERATOR_CORE, std::env::current_exe()?);
        command
            .arg("downloads")
            .args(["--address", &downloads.address.to_string()])
            .args(["--path", &downloads.path])
            .args(["--file-bytes", &downloads.file_bytes.to_string()])
            .args(["--connections", &downloads.connections.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(rate) = downloads.client_rate {
            command.args(["--client-rate", &rate.to_string()]);
        }
        let mut process = Process::start(&mut command)?;
        let (questions, answers) = process.take_pipes().context("both pipes were requested")?;
        let mut load = Self {
            connections: downloads.connections,
            questions,
            answers: BufReader::new(answers),
            _process: process,
        };
        load.wait_until_begun()?;
        Ok(load)
    }

    /// Returns the progress so far. Fails if a download failed.
    pub(crate) fn progress(&mut self) -> anyhow::Result<Progress> {
        self.questions.write_all(b"\n")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let progress: Progress = serde_json::from_str(&line).context("the generator has ended")?;
        if let Some(failure) = progress.failure {
            anyhow::bail!("a download failed: {failure}");
        }
        Ok(progress)
    }

    fn wait_until_begun(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + BEGUN_WITHIN;
        loop {
            let begun = self.progress()?.begun;
            if begun >= self.connections {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "only {begun} of {} downloads began",
                self.connections
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Progress {
    /// Returns the bytes per second since an earlier state.
    pub(crate) fn rate_since(&self, earlier: &Self) -> f64 {
        (self.bytes - earlier.bytes) as f64 / (self.seconds - earlier.seconds)
    }
}
