//! The program as a process: its files, and its output at the start.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Killed when dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Builds a command for the program in a shell whose umask permits everything.
fn command(directory: &Path, arguments: &str) -> Command {
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_slipway");
    command
        .arg("-c")
        .arg(format!("umask 000; exec '{program}' {arguments}"))
        .env_clear()
        .env("TMPDIR", directory)
        .env("SLIPWAY_DATA_DIR", directory.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Returns the first match of `find` in a line. Reads the output to its end, so that the program can always write.
fn find_line<T>(output: impl Read + Send + 'static, find: impl Fn(&str) -> Option<T>) -> T {
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let found = lines.find_map(|line| find(&line));
    std::thread::spawn(move || lines.for_each(drop));
    found.expect("the program ended early")
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        }
        files.push(path);
    }
    files
}

#[tokio::test]
async fn only_the_owner_can_read_what_a_server_creates() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    // The directory may exist already, with open permissions.
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = command(directory.path(), "serve --listen 127.0.0.1:0");
    let mut program = Program(command.spawn().unwrap());
    find_line(program.0.stderr.take().unwrap(), |line| {
        line.contains("\"listening\"").then_some(())
    });
    let files = files_below(&data);
    let names: Vec<_> = files
        .iter()
        .filter_map(|path| path.file_name()?.to_str())
        .collect();
    for name in ["secret.key", "slipway.db", "slipway.db-wal", "slipway.db-shm"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for path in files {
        // A file may be renamed or removed meanwhile.
        let Ok(found) = std::fs::metadata(&path) else {
            continue;
        };
        let mode = found.permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
}

#[tokio::test]
async fn a_demo_that_others_can_reach_makes_its_password_up() {
    for (listen, is_fixed) in [("127.0.0.1:0", true), ("[::1]:0", true), ("0.0.0.0:0", false)] {
        if std::net::TcpListener::bind(listen).is_err() {
            // This machine has no IPv6.
            continue;
        }
        let directory = TempDir::new().unwrap();
        let mut command = command(directory.path(), &format!("demo --listen {listen}"));
        let mut program = Program(command.stderr(Stdio::inherit()).spawn().unwrap());
        let url = std::cell::RefCell::new(String::new());
        let password = find_line(program.0.stdout.take().unwrap(), |line| {
            if let Some(rest) = line.strip_prefix("Slipway is running at ") {
                *url.borrow_mut() = rest.split(' ').next().unwrap().to_owned();
            }
            let (_, password) = line.strip_prefix("administrator")?.split_once(" / ")?;
            Some(password.to_owned())
        });
        assert_eq!(password == "slipway-demo", is_fixed, "{listen}: {password}");
        assert!(password.len() >= 12, "{password}");
        let login = async |password: &str| -> (StatusCode, Value) {
            let login = format!("{}/api/v1/auth/login", url.borrow());
            let body = json!({"username": "admin", "password": password});
            let response = Client::new().post(login).json(&body).send().await.unwrap();
            (response.status(), response.json().await.unwrap())
        };
        assert_eq!(login(&password).await.0, 200);
        assert_eq!(login("slipway-demo").await.0 == 200, is_fixed);
        for path in files_below(directory.path()) {
            let Ok(found) = std::fs::metadata(&path) else {
                continue;
            };
            assert_eq!(found.permissions().mode() & 0o077, 0, "{}", path.display());
        }
    }
}
