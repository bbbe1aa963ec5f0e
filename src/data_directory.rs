//! The data directory, and the secret key that is kept in it where none is given.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::config::Config;
use crate::secrets::Keyring;

/// Makes the directory for its owner alone, if it is absent: it holds the secret key.
pub fn make(path: &Path) -> anyhow::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .with_context(|| format!("the data directory {} cannot be made", path.display()))
}

/// The keys that were given, else the one kept in the data directory, which is made at the first start.
pub fn keyring(config: &Config) -> anyhow::Result<Keyring> {
    if let Some(keys) = &config.secret_key {
        return Ok(Keyring::parse(keys)?);
    }
    if config.uses_postgres() {
        bail!(
            "SLIPWAY_SECRET_KEY is required with PostgreSQL, where all nodes must share it; make one with \
             `openssl rand -base64 32`"
        );
    }
    let path = config.data_dir.join("secret.key");
    let kept = || fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()));
    let text = match write_new_key(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => kept()?,
        Err(error) => return Err(error).with_context(|| format!("{} cannot be written", path.display())),
    };
    Keyring::parse(text.trim()).with_context(|| format!("{} holds no usable key", path.display()))
}

/// Writes a key that only the owner can read; fails if there is one.
fn write_new_key(path: &Path) -> std::io::Result<String> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let text = Keyring::generate_text().map_err(std::io::Error::other)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(text)
}
