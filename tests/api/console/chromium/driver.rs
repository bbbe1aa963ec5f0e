//! A chromedriver process, shared by all tests of this process.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::LazyLock;

/// Stops chromedriver and its browsers, which are in the process group of this shell, when its input closes. The pipe
/// closes when this process ends, even after a kill.
const WATCHDOG: &str = r"
    chromedriver --port=0 &
    cat >/dev/null
    kill -KILL 0
";

static DRIVER: LazyLock<Driver> = LazyLock::new(Driver::start);

struct Driver {
    url: String,
    _watchdog: Child,
    /// Kept open, so that chromedriver can write to it.
    _output: BufReader<ChildStdout>,
}

/// Returns the address of the running chromedriver.
pub(super) fn url() -> &'static str {
    &DRIVER.url
}

impl Driver {
    fn start() -> Self {
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(watchdog.stdout.take().unwrap());
        let port = port_in(&mut output).expect("chromedriver starts; tests/run installs it");
        Self {
            url: format!("http://127.0.0.1:{port}"),
            _watchdog: watchdog,
            _output: output,
        }
    }
}

/// Reads up to the line that names the port.
fn port_in(output: &mut impl BufRead) -> Option<u16> {
    output.lines().map_while(Result::ok).find_map(|line| {
        let (_, rest) = line.split_once("started successfully on port ")?;
        rest.trim_end_matches('.').parse().ok()
    })
}
