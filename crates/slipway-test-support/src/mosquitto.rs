//! A throw-away MQTT broker for one test.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::postgres::run;

/// Runs the broker and ends it with this process. `postgres.rs` explains how.
const WATCHDOG: &str = r#"
    start() { "$1" -c "$2" >>"$3" 2>&1 </dev/null & }
    start "$1" "$2" "$3"
    while read -r command; do
        case $command in
            stop) kill -KILL $!; wait ;;
            start) start "$1" "$2" "$3" ;;
        esac
    done
    kill -KILL $! 2>/dev/null
"#;

/// Name and password of nodes at a guarded broker.
pub const NODE: (&str, &str) = ("slipway", "for the nodes");

/// A broker without persistence: stopping it loses everything.
pub struct Mosquitto {
    directory: TempDir,
    port: u16,
    /// True with TLS, passwords, and the access rules of `docs/operations.md`.
    is_guarded: bool,
    watchdog: Mutex<Child>,
}

impl Mosquitto {
    /// Starts a broker that allows everything to everybody.
    pub fn open() -> Self {
        Self::start(
            false,
            "allow_anonymous true\nset_tcp_nodelay true\n",
            TempDir::new().unwrap(),
        )
    }

    /// Starts a broker with TLS, passwords, and the access rules of the docs. Besides the nodes, `devices` may sign in.
    pub fn guarded(devices: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name);
        make_certificates(directory.path());
        std::fs::write(path("access"), access_rules()).unwrap();
        std::fs::write(path("passwords"), "").unwrap();
        let names = devices.iter().map(|device| username_of(device));
        let users = names.map(|name| (name.clone(), password_of(&name)));
        for (name, password) in users.chain([(NODE.0.to_owned(), NODE.1.to_owned())]) {
            write_password(directory.path(), &name, &password);
        }
        let mut settings = "allow_anonymous false\nset_tcp_nodelay true\n".to_owned();
        for (setting, file) in [
            ("password_file", "passwords"),
            ("acl_file", "access"),
            ("cafile", "ca.pem"),
            ("certfile", "broker.pem"),
            ("keyfile", "broker.key"),
        ] {
            writeln!(settings, "{setting} {}", path(file).display()).unwrap();
        }
        Self::start(true, &settings, directory)
    }

    pub fn url(&self) -> String {
        let scheme = if self.is_guarded { "mqtts" } else { "mqtt" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Returns the broker's log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// Returns a data directory for nodes of this broker.
    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("nodes")
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the certificate of the authority, if the broker uses TLS.
    pub fn ca_file(&self) -> Option<PathBuf> {
        self.is_guarded.then(|| self.directory.path().join("ca.pem"))
    }

    /// Changes a password of a guarded broker and restarts the broker.
    pub fn set_password(&self, name: &str, password: &str) {
        write_password(self.directory.path(), name, password);
        self.stop();
        self.start_again();
    }

    /// Ends the broker like a crash.
    pub fn stop(&self) {
        self.tell("stop\n");
        self.wait_until(false);
    }

    /// Starts a stopped broker at the same port.
    pub fn start_again(&self) {
        self.tell("start\n");
        self.wait_until(true);
    }

    fn start(is_guarded: bool, settings: &str, directory: TempDir) -> Self {
        // The system does not assign the port again for a while.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let config = directory.path().join("broker.conf");
        let text = format!("user root\nlistener {port} 127.0.0.1\npersistence false\n{settings}");
        std::fs::write(&config, text).unwrap();
        let watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(program())
            .arg(&config)
            .arg(directory.path().join("log"))
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let broker = Self {
            directory,
            port,
            is_guarded,
            watchdog: Mutex::new(watchdog),
        };
        broker.wait_until(true);
        broker
    }

    fn tell(&self, command: &str) {
        let mut watchdog = self.watchdog.lock().unwrap();
        let stdin = watchdog.stdin.as_mut().unwrap();
        stdin.write_all(command.as_bytes()).unwrap();
    }

    fn wait_until(&self, answers: bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() != answers {
            assert!(
                Instant::now() < deadline,
                "the broker does not start or stop: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let watchdog = self.watchdog.get_mut().unwrap();
        // Closing its input stops the watchdog.
        drop(watchdog.stdin.take());
        let _ = watchdog.wait();
    }
}

fn write_password(directory: &Path, name: &str, password: &str) {
    run(Command::new("mosquitto_passwd")
        .arg("-b")
        .arg(directory.join("passwords"))
        .args([name, password]));
}

/// Path of the broker on Debian, which is not in every user's `PATH`.
fn program() -> &'static str {
    let usual = "/usr/sbin/mosquitto";
    if Path::new(usual).exists() {
        usual
    } else {
        "mosquitto"
    }
}

/// Returns the user name of a device of the usual tenant.
pub fn username_of(device: &str) -> String {
    format!("10000000/devices/{device}")
}

/// Returns the password of a device.
pub fn password_of(username: &str) -> String {
    format!("password of {username}")
}

/// Returns the access rules of `docs/operations.md`, so that the tests cover the documented rules.
fn access_rules() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rules) = page.split_once("```text\nuser slipway\n").unwrap();
    let (rules, _) = rules.split_once("```").unwrap();
    format!("user slipway\n{rules}")
}

/// Creates an authority and a certificate for 127.0.0.1.
fn make_certificates(directory: &Path) {
    let openssl = |arguments: &str| {
        run(Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(directory));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority -days 2"
    ));
    openssl(&format!(
        "req {key} -keyout broker.key -out broker.csr -subj /CN=broker"
    ));
    std::fs::write(directory.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    openssl(
        "x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out broker.pem -days 2 -extfile names",
    );
}
