//! Storage of a device's token.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use tempfile::NamedTempFile;

/// Token of the device.
#[derive(Args)]
pub(super) struct OwnToken {
    /// Token of the device. Prefer the environment variable: other users of the machine can see the arguments of a
    /// program, but not its environment.
    #[arg(long, env = "SLIPWAY_DEVICE_TOKEN", hide_env_values = true, value_parser = NonEmptyStringValueParser::new())]
    token: Option<String>,

    /// File in which `slipway device enrol` stored the token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl OwnToken {
    /// Returns the token in the file, otherwise the given one; `None` if the device has no token yet.
    pub(super) fn read(&self) -> anyhow::Result<Option<String>> {
        let kept = match &self.token_file {
            Some(file) => read(file)?,
            None => None,
        };
        Ok(kept.or_else(|| self.token.clone()))
    }
}

/// Returns the token in a file; `None` if the file does not exist yet.
pub(super) fn read(file: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

/// File for a token, created before the token is requested. If it cannot be written, the previous token stays valid.
pub(super) struct TokenFile {
    /// Readable only by its owner.
    new: NamedTempFile,
    file: PathBuf,
}

impl TokenFile {
    pub(super) fn prepare(file: &Path) -> anyhow::Result<Self> {
        let directory = match file.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let new = NamedTempFile::new_in(directory)
            .with_context(|| format!("{} cannot be written", file.display()))?;
        let file = file.to_owned();
        Ok(Self { new, file })
    }

    /// Stores the token atomically: after a power failure, the device has either the previous token or this one.
    pub(super) fn store(mut self, token: &str) -> anyhow::Result<()> {
        let write = |new: &mut NamedTempFile| {
            writeln!(new, "{token}")?;
            new.as_file().sync_all()
        };
        write(&mut self.new).with_context(|| format!("{} cannot be written", self.file.display()))?;
        let kept = self.new.persist(&self.file);
        kept.with_context(|| format!("{} cannot be written", self.file.display()))?;
        Ok(())
    }
}
