//! Files that are uploaded and downloaded.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use fastrand::Rng;
use serde_json::Value;

use crate::devices::TENANT;
use crate::node::Node;
use crate::process::{GENERATOR_CORE, on_core};

/// Artifact that a node has.
pub(crate) struct Uploaded {
    /// Path of its download.
    pub(crate) path: String,
    /// Time of the upload.
    pub(crate) took: Duration,
}

/// Makes a file of random bytes. It is written to the disk, and then in the page cache.
pub(crate) fn make(directory: &Path, name: &str, bytes: u64, seed: u64) -> anyhow::Result<PathBuf> {
    let path = directory.join(name);
    let mut file = BufWriter::new(File::create(&path)?);
    let (mut rng, mut left) = (Rng::with_seed(seed), bytes);
    let mut piece = vec![0; 1 << 20];
    while left > 0 {
        let length = piece.len().min(usize::try_from(left)?);
        rng.fill(&mut piece[..length]);
        file.write_all(&piece[..length])?;
        left -= length as u64;
    }
    file.flush()?;
    file.get_ref().sync_all()?;
    Ok(path)
}

/// Uploads a file with curl from the generator's core.
pub(crate) fn upload(node: &Node, token: &str, file: &Path) -> anyhow::Result<Uploaded> {
    let url = format!(
        "http://{}/api/v1/tenants/{}/artifacts",
        node.address,
        TENANT.number()
    );
    let began = Instant::now();
    let output = on_core(GENERATOR_CORE, "curl")
        .args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--request",
            "POST",
        ])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args([
            "--header",
            "Content-Type: application/octet-stream",
            "--upload-file",
        ])
        .arg(file)
        .arg(url)
        .stdin(Stdio::null())
        .output()?;
    let took = began.elapsed();
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "an upload failed: {text} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let artifact: Value = serde_json::from_str(&text)?;
    let url = artifact["download_url"]
        .as_str()
        .context("an artifact has a link")?;
    let path = url.find("/dl/").map(|at| url[at..].to_owned());
    Ok(Uploaded {
        path: path.context("a link has a key")?,
        took,
    })
}
