//! A throw-away PostgreSQL server for the tests of one binary, with a database for each test.

use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Runs the server, stops and starts it on request, and cleans up when its standard input closes. The pipe closes when
/// this process ends, even after a kill. Statics are never dropped, so this process cannot clean up by itself.
const WATCHDOG: &str = r#"
    start() {
        "$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c synchronous_commit=off \
            -c full_page_writes=off -c max_connections=500 >>"$2/log" 2>&1 </dev/null &
    }
    start "$1" "$2"
    while read -r command; do
        case $command in
            stop) kill -INT $!; wait ;;
            start) start "$1" "$2" ;;
        esac
    done
    kill -QUIT $!
    wait
    rm -rf "$2"
"#;

/// A server that listens on a Unix socket in its own directory and deletes its data at the end.
pub struct PostgresServer {
    directory: PathBuf,
    databases: AtomicU32,
    /// Holds the pipe that stays open while this process runs; see [`WATCHDOG`].
    watchdog: Mutex<Child>,
}

impl PostgresServer {
    /// Returns the server of this test binary. The first call starts it.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<PostgresServer> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    /// Creates an empty database and returns its URL.
    pub fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let directory = self.directory.display();
        run(Command::new(program("createdb"))
            .args(["-U", "slipway", "-h"])
            .arg(&self.directory)
            .arg(&name));
        format!("postgres://slipway@localhost/{name}?host={directory}")
    }

    /// Stops the server and closes every connection.
    pub fn stop(&self) {
        self.tell("stop\n");
        wait_until(&self.directory, false);
    }

    /// Starts the stopped server again.
    pub fn start_again(&self) {
        self.tell("start\n");
        wait_until(&self.directory, true);
    }

    fn tell(&self, command: &str) {
        let mut watchdog = self.watchdog.lock().expect("no holder of this lock panics");
        let stdin = watchdog.stdin.as_mut().expect("the watchdog has an input");
        stdin.write_all(command.as_bytes()).expect("the watchdog listens");
    }

    /// Starts a server for one test.
    pub fn start() -> Self {
        let directory =
            PathBuf::from(run(&mut as_server_user("mktemp", &["-d", "-t", "slipway-pg.XXXXXX"])).trim());
        initialise(&directory.join("data"));
        let watchdog = as_server_user("sh", &["-c", WATCHDOG, "watchdog"])
            .arg(bin_directory())
            .arg(&directory)
            .stdin(Stdio::piped())
            // Ctrl-C must not end the watchdog before it has cleaned up.
            .process_group(0)
            .spawn()
            .expect("a shell runs the server");
        wait_until(&directory, true);
        Self {
            directory,
            databases: AtomicU32::new(0),
            watchdog: Mutex::new(watchdog),
        }
    }
}

/// Creates a data directory with a linguistic default collation, like many installations: columns that need bytewise
/// order must declare it.
pub fn initialise(data: &Path) {
    let data = data.to_str().expect("mktemp gives a path of text");
    let initdb = program("initdb");
    let initdb = initdb.to_str().expect("the path of a program is text");
    let collation = ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"];
    run(as_server_user(
        initdb,
        &[
            "-D",
            data,
            "-U",
            "slipway",
            "-A",
            "trust",
            "--encoding=UTF8",
            "--no-sync",
        ],
    )
    .args(collation));
}

/// Waits until the server answers, or until it no longer does.
fn wait_until(directory: &Path, answers: bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let is_ready = || {
        Command::new(program("pg_isready"))
            .args(["-q", "-h"])
            .arg(directory)
            .status()
            .is_ok_and(|status| status.success())
    };
    while is_ready() != answers {
        assert!(
            Instant::now() < deadline,
            "PostgreSQL does not start or stop: {}",
            std::fs::read_to_string(directory.join("log")).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Builds a command for a server program. The server refuses to run as root, so root switches to the user of Debian's
/// package.
pub fn as_server_user(program: &str, arguments: &[&str]) -> Command {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let mut command = if is_root {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", program]);
        command
    } else {
        Command::new(program)
    };
    // The user may lack access to the project's directory.
    command.args(arguments).current_dir("/");
    command
}

/// Returns the directory of Debian's newest server programs, or else that of the `initdb` in `PATH`.
pub fn bin_directory() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    versions
        .map(|version| version.path())
        .max_by_key(|path| {
            path.file_name()
                .and_then(|name| name.to_str()?.parse::<u32>().ok())
        })
        .map_or_else(path_of_initdb, |version| version.join("bin"))
}

fn path_of_initdb() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(|directory| directory.join("initdb").exists())
        .expect("the tests need PostgreSQL's server programs: apt-get install postgresql")
}

pub fn program(name: &str) -> PathBuf {
    bin_directory().join(name)
}

/// Runs a program to its end and returns its output.
pub fn run(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("the program can be started");
    let mut printed = String::new();
    output
        .stdout
        .as_slice()
        .read_to_string(&mut printed)
        .expect("programs print text");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    printed
}
