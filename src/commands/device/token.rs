//! Where a device keeps its token.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use tempfile::NamedTempFile;

/// The device's own token.
#[derive(Args)]
pub(super) struct OwnToken {
    /// The device's token. Other users of the machine can see a program's arguments, but not its environment.
    #[arg(long, env = "SLIPWAY_DEVICE_TOKEN", hide_env_values = true, value_parser = NonEmptyStringValueParser::new())]
    token: Option<String>,

    /// The file in which `enrol` keeps it.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl OwnToken {
    /// What is in the file goes before what was given. `None` where the device has no token yet.
    pub(super) fn read(&self) -> anyhow::Result<Option<String>> {
        let kept = match &self.token_file {
            Some(file) => read(file)?,
            None => None,
        };
        Ok(kept.or_else(|| self.token.clone()))
    }
}

/// The token in a file; `None` where there is no such file yet.
pub(super) fn read(file: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

/// A place for a token, made before it is asked for: where nothing can be written, the token before stays good.
pub(super) struct TokenPlace {
    /// Nobody but its owner can read it.
    new: NamedTempFile,
    file: PathBuf,
}

impl TokenPlace {
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

    /// Puts the token there in one step: a device that loses power has the one before or this one.
    pub(super) fn keep(mut self, token: &str) -> anyhow::Result<()> {
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
