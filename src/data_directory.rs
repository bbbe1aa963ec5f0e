//! The data directory: the secret key, if none is configured, and the name of this node at the MQTT broker.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use uuid::Uuid;

use crate::config::Config;
use crate::random;
use crate::secrets::Keyring;

const SECRET_KEY: &str = "secret.key";
const INSTALLATION: &str = "installation.id";

/// Restricts files that this process creates to their owner: the database and its logs, snapshots, keys.
pub fn keep_files_private() {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// Creates the directory if absent. Only the owner has access, because it holds the secret key.
pub fn create(path: &Path) -> anyhow::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .with_context(|| format!("cannot create the data directory {}", path.display()))
}

/// Returns the name of a file that proves that the directory belongs to an installation.
pub fn trace_of_installation(path: &Path) -> Option<&'static str> {
    [SECRET_KEY, INSTALLATION]
        .into_iter()
        .find(|name| path.join(name).exists())
}

/// Writes the installation id to the directory if the directory contains the database.
pub fn note_installation(path: &Path, database: &Path, installation: Uuid) -> std::io::Result<()> {
    if database.parent() != Some(path) {
        return Ok(());
    }
    let path = path.join(INSTALLATION);
    let text = format!("{installation}\n");
    if fs::read_to_string(&path).is_ok_and(|noted| noted == text) {
        return Ok(());
    }
    fs::write(&path, text)
}

/// Loads the configured keys, or the key in the data directory, which is created at the first start. `may_be_made` is
/// false if stored data requires an existing key.
pub fn keyring(config: &Config, may_be_made: bool) -> anyhow::Result<Keyring> {
    if let Some(keys) = &config.secret_key {
        return Ok(Keyring::parse(keys)?);
    }
    if config.uses_postgres() {
        bail!(
            "SLIPWAY_SECRET_KEY is required with PostgreSQL, where all nodes must share it; make one with \
             `openssl rand -base64 32`"
        );
    }
    let path = config.data_dir.join(SECRET_KEY);
    if !may_be_made && !path.exists() {
        bail!(
            "{} is missing, and what the database holds was sealed with it: put the file back, or give its content in \
             SLIPWAY_SECRET_KEY",
            path.display()
        );
    }
    let kept = || fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()));
    let text = match write_new_key(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => kept()?,
        Err(error) => return Err(error).with_context(|| format!("{} cannot be written", path.display())),
    };
    Keyring::parse(text.trim()).with_context(|| format!("{} holds no usable key", path.display()))
}

/// Writes a new key that only the owner can read. Fails if the file exists.
fn write_new_key(path: &Path) -> std::io::Result<String> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    // Includes the line end, so that an operator can append another key on its own line.
    let text = Keyring::generate_text().map_err(std::io::Error::other)? + "\n";
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(text)
}

/// Name of this node at the broker. The broker keeps a session under this name for a limited time.
#[derive(Debug)]
pub struct NodeName {
    pub name: Uuid,
    /// Locked while the name is in use.
    _file: Option<File>,
}

/// Returns the name from the data directory, which persists over restarts and is created at the first start. If another
/// process holds it, returns a random name: the broker accepts a name only once.
pub fn node_name(path: &Path) -> anyhow::Result<NodeName> {
    let path = path.join("node.id");
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false);
    let name = file.open(&path).and_then(kept_name);
    name.with_context(|| format!("{} cannot be used", path.display()))
}

fn kept_name(mut file: File) -> std::io::Result<NodeName> {
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let name = random::uuid();
            return Ok(NodeName { name, _file: None });
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let name = match text.trim().parse() {
        Ok(name) => name,
        // The file is new or was only partly written.
        Err(_) => write_new_name(&mut file)?,
    };
    let file = Some(file);
    Ok(NodeName { name, _file: file })
}

fn write_new_name(file: &mut File) -> std::io::Result<Uuid> {
    let name = random::uuid();
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{name}")?;
    file.sync_all()?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_keeps_its_name_and_no_two_have_the_same() {
        let directory = tempfile::TempDir::new().unwrap();
        let first = node_name(directory.path()).unwrap();
        let beside = node_name(directory.path()).unwrap();
        assert_ne!(first.name, beside.name);
        let name = first.name;
        drop(first);
        assert_eq!(node_name(directory.path()).unwrap().name, name);
        std::fs::write(directory.path().join("node.id"), "0191").unwrap();
        let other = node_name(directory.path()).unwrap().name;
        assert_ne!(other, name);
        assert_eq!(node_name(directory.path()).unwrap().name, other);
    }
}
