//! A throw-away MQTT broker.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::bail;
use tempfile::TempDir;

use crate::process::{Process, free_address};

const READY_WITHIN: Duration = Duration::from_secs(10);

pub(crate) struct Mosquitto {
    pub(crate) address: SocketAddr,
    _process: Process,
    _directory: TempDir,
}

impl Mosquitto {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let (address, directory) = (free_address()?, tempfile::tempdir()?);
        let settings = directory.path().join("broker.conf");
        let (host, port) = (address.ip(), address.port());
        fs::write(
            &settings,
            format!(
                "user root\nlistener {port} {host}\npersistence false\nallow_anonymous true\n\
                 set_tcp_nodelay true\n"
            ),
        )?;
        // Debian keeps it where not everybody's path leads.
        let usual = "/usr/sbin/mosquitto";
        let program = if Path::new(usual).exists() {
            usual
        } else {
            "mosquitto"
        };
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(&settings)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let broker = Self {
            address,
            _process: Process::start(&mut command)?,
            _directory: directory,
        };
        let deadline = Instant::now() + READY_WITHIN;
        while TcpStream::connect(address).is_err() {
            if Instant::now() >= deadline {
                bail!("the broker does not start");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(broker)
    }
}
