//! Installs missing tools of the benchmark, as `tests/run` does for the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;

use crate::process::program_on_path;

pub(crate) fn install_missing() -> anyhow::Result<()> {
    if program_on_path("wrk").is_none() {
        eprintln!("wrk is missing; installing it");
        install("wrk")?;
    }
    let has_server = Path::new("/usr/lib/postgresql").exists() || program_on_path("initdb").is_some();
    if !has_server {
        eprintln!("PostgreSQL's server programs are missing; installing them");
        // The benchmark creates a throw-away cluster, so the package does not have to.
        as_root(&[
            "sh",
            "-c",
            "mkdir -p /etc/postgresql-common && \
             { [ -e /etc/postgresql-common/createcluster.conf ] || \
               echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf; }",
        ])?;
        install("postgresql")?;
    }
    let has_broker = Path::new("/usr/sbin/mosquitto").exists() || program_on_path("mosquitto").is_some();
    if !has_broker {
        eprintln!("Mosquitto is missing; installing it");
        install("mosquitto")?;
    }
    if program_on_path("curl").is_none() {
        eprintln!("curl is missing; installing it");
        install("curl")?;
    }
    if nginx_program().is_none() {
        eprintln!("nginx is missing; installing it");
        install("nginx")?;
    }
    Ok(())
}

/// Finds nginx, which is not on the path of every user.
pub(crate) fn nginx_program() -> Option<PathBuf> {
    let usual = PathBuf::from("/usr/sbin/nginx");
    usual
        .exists()
        .then_some(usual)
        .or_else(|| program_on_path("nginx"))
}

fn install(package: &str) -> anyhow::Result<()> {
    as_root(&["apt-get", "update", "-qq"])?;
    as_root(&[
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "install",
        "-y",
        "-qq",
        package,
    ])
}

fn as_root(command: &[&str]) -> anyhow::Result<()> {
    let user = Command::new("id").arg("-u").output()?;
    let is_root = user.stdout.trim_ascii() == b"0";
    let words: Vec<_> = if is_root { Vec::new() } else { vec!["sudo"] }
        .into_iter()
        .chain(command.iter().copied())
        .collect();
    let status = Command::new(words[0]).args(&words[1..]).status()?;
    ensure!(status.success(), "{} failed", words.join(" "));
    Ok(())
}
