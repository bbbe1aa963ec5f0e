//! nginx with one worker on the server's core, which sends the files of a directory.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::install::nginx_program;
use crate::process::{Process, SERVER_CORE, free_address, on_core};

pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    _directory: TempDir,
}

impl Nginx {
    pub(crate) fn start(root: &Path) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let address = free_address()?;
        let path = directory.path().join("nginx.conf");
        fs::write(&path, configuration(directory.path(), root, address))?;
        let mut command = on_core(SERVER_CORE, nginx_program().context("nginx is installed")?);
        command.arg("-c").arg(&path).stdin(Stdio::null());
        let process = Process::start(&mut command)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            ensure!(Instant::now() < deadline, "nginx does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self {
            address,
            process,
            _directory: directory,
        })
    }
}

/// A single process is one worker, whose end needs no master.
fn configuration(own: &Path, root: &Path, address: SocketAddr) -> String {
    let (own, root) = (own.display(), root.display());
    format!(
        "daemon off; master_process off; worker_processes 1; pid {own}/pid; error_log {own}/log;
         events {{ worker_connections 1024; }}
         http {{
             access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
             client_body_temp_path {own}/a; proxy_temp_path {own}/b; fastcgi_temp_path {own}/c;
             uwsgi_temp_path {own}/d; scgi_temp_path {own}/e;
             server {{ listen {address}; root {root}; }}
         }}
"
    )
}
