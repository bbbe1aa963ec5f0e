//! The program run as a command: its output and whether it succeeded.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Path of the program. Cargo builds it beside the directory of the running test or benchmark.
pub fn path() -> PathBuf {
    let own = std::env::current_exe().expect("the running program has a path");
    let directory = own.ancestors().nth(2).expect("it is in target/<profile>/deps");
    directory.join("slipway")
}

/// What a command did.
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

/// Runs the program to its end with these arguments and variables, and nothing else in its environment.
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
