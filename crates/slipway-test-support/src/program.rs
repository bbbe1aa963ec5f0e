//! The program: its path, its output and exit code as a command, and the address of a running server.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Returns the path of the program. Cargo builds it beside the directory of the running test or benchmark.
pub fn path() -> PathBuf {
    let own = std::env::current_exe().expect("the running program has a path");
    let directory = own.ancestors().nth(2).expect("it is in target/<profile>/deps");
    directory.join("slipway")
}

/// Output and exit code of a command.
#[derive(Debug)]
pub struct Outcome {
    pub success: bool,
    /// `None` if a signal ended the command.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    #[track_caller]
    pub fn expect_success(self) -> String {
        assert!(self.success, "{self:?}");
        self.stdout
    }

    #[track_caller]
    pub fn expect_failure(self) -> String {
        assert!(!self.success, "{self:?}");
        self.stderr
    }
}

/// Runs the program to its end. Its environment holds only these variables.
pub async fn run(data_dir: &Path, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> Outcome {
    let mut command = Command::new(path());
    command
        .args(arguments)
        .env_clear()
        .env("SLIPWAY_DATA_DIR", data_dir)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let input = input.to_owned();
    let run = move || {
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that does not read its input may have closed it.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    Outcome {
        success: output.status.success(),
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Returns the address that a line of a server's log reports as listening.
pub fn parse_listening_address(line: &str) -> Option<SocketAddr> {
    listening_address(&serde_json::from_str(line).ok()?)
}

/// Returns the address that a record of a server's log reports as listening.
pub fn listening_address(record: &Value) -> Option<SocketAddr> {
    let fields = &record["fields"];
    let is_listening = fields["message"] == "listening";
    fields["address"].as_str().filter(|_| is_listening)?.parse().ok()
}
