//! Upload of a file: streamed from the disk, and verified by the server against the digest that was computed here.

use std::io;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Url};
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::attempt::{Answer, AttemptError, send, unexpected};
use super::calls::Server;
use super::failure::Failure;
use super::local_file::LocalFile;
use super::output::Output;
use super::transfer::Transfer;

const CHUNK_BYTES: usize = 128 * 1024;

/// Uploads a file, unless the tenant has it undamaged.
pub(super) async fn upload(server: &Server, file: &LocalFile, output: &Output) -> Result<(), Failure> {
    let sha256 = file.sha256_hex();
    let is_artifact = |found: &serde_json::Value| found["sha256"] == sha256.as_str();
    match server.get(&["artifacts", &sha256]).await? {
        Some(found) if !is_artifact(&found) => return Err(unexpected("an artifact")),
        Some(found) if found["damage"].is_null() => {
            return output.note(&format!("{} is on the server already", file.filename));
        }
        Some(_) => output.note(&format!(
            "{} is damaged on the server, and is uploaded again",
            file.filename
        ))?,
        None => {}
    }
    let answer = send_file(server, file, output).await?;
    if !answer.status.is_success() {
        return Err(refused(file, &answer));
    }
    if is_artifact(&answer.body) {
        Ok(())
    } else {
        Err(unexpected("an artifact"))
    }
}

async fn send_file(server: &Server, file: &LocalFile, output: &Output) -> Result<Answer, Failure> {
    let mut url = server.address(&["artifacts"])?;
    url.query_pairs_mut().append_pair("filename", &file.filename);
    let progress = output.progress(&file.filename, file.size);
    let answered = server
        .repeat(async || {
            let transfer = Transfer::new(file.size, &progress);
            try_send(server, &url, file, &transfer).await
        })
        .await;
    progress.finish();
    answered
}

async fn try_send(
    server: &Server,
    url: &Url,
    file: &LocalFile,
    transfer: &Transfer,
) -> Result<Answer, AttemptError> {
    let request = server
        .upload(url)
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_LENGTH, file.size)
        .header(
            "Repr-Digest",
            format!("sha-256=:{}:", STANDARD.encode(file.sha256)),
        )
        .body(content(file, transfer));
    transfer.answer(send(request)).await
}

fn refused(file: &LocalFile, answer: &Answer) -> Failure {
    let reason = answer.refusal();
    Failure::Refused(match answer.problem_code() {
        // The digest of what was sent is verified here, too.
        "digest_mismatch" => format!(
            "{}: the server received other bytes than were sent; a proxy or the connection changes them ({reason})",
            file.filename
        ),
        _ => format!("{}: {reason}", file.filename),
    })
}

/// Returns the content of a file as the body of a request.
fn content(file: &LocalFile, transfer: &Transfer) -> Body {
    let (filename, transfer) = (file.filename.clone(), transfer.clone());
    let announced = Announced {
        path: file.path.clone(),
        size: file.size,
        sha256: file.sha256,
    };
    Body::wrap_stream(announced.chunks().inspect(move |chunk| match chunk {
        Ok(chunk) => transfer.advance(chunk.len()),
        Err(error) => transfer.fail(fault(&filename, error)),
    }))
}

fn fault(filename: &str, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::InvalidData {
        Failure::Refused(format!(
            "{filename} changed while it was published; wait until it is complete, and run the command again"
        ))
    } else {
        Failure::Usage(format!("{filename} cannot be read any more: {error}"))
    }
}

/// File as it was announced to the server. Other content is an error of the kind `InvalidData`, so that it never arrives
/// whole.
struct Announced {
    path: PathBuf,
    size: u64,
    sha256: [u8; 32],
}

/// File that is being sent.
struct OpenFile {
    announced: Announced,
    file: File,
    read: u64,
    digest: Sha256,
}

impl Announced {
    fn chunks(self) -> impl Stream<Item = io::Result<Vec<u8>>> {
        stream::once(self.open()).map_ok(OpenFile::chunks).try_flatten()
    }

    async fn open(self) -> io::Result<OpenFile> {
        Ok(OpenFile {
            file: File::open(&self.path).await?,
            announced: self,
            read: 0,
            digest: Sha256::new(),
        })
    }
}

impl OpenFile {
    fn chunks(self) -> impl Stream<Item = io::Result<Vec<u8>>> {
        stream::try_unfold(self, async |mut opened| {
            let chunk = opened.next_chunk().await?;
            Ok((!chunk.is_empty()).then_some((chunk, opened)))
        })
    }

    /// Reads a chunk; empty at the end. The last one is returned only if the file is the announced one.
    async fn next_chunk(&mut self) -> io::Result<Vec<u8>> {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        (&mut self.file)
            .take(CHUNK_BYTES as u64)
            .read_to_end(&mut chunk)
            .await?;
        self.read += chunk.len() as u64;
        self.digest.update(&chunk);
        let is_whole = self.read == self.announced.size;
        let is_short = self.read < self.announced.size && !chunk.is_empty();
        if is_short || (is_whole && self.is_announced().await?) {
            Ok(chunk)
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    /// Returns `true` if a file of the announced size has the announced digest, and ends there.
    async fn is_announced(&mut self) -> io::Result<bool> {
        let is_equal = self.digest.clone().finalize()[..] == self.announced.sha256;
        Ok(is_equal && self.file.read(&mut [0; 1]).await? == 0)
    }
}

#[cfg(test)]
mod tests {
    use tempfile::NamedTempFile;

    use super::*;

    static BYTES: [u8; CHUNK_BYTES * 2] = [7; CHUNK_BYTES * 2];

    /// Announces `before`, and sends a file with `after`.
    async fn send_changed(before: &[u8], after: &[u8]) -> io::Result<Vec<u8>> {
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), after).unwrap();
        let announced = Announced {
            path: file.path().to_owned(),
            size: before.len() as u64,
            sha256: Sha256::digest(before).into(),
        };
        announced.chunks().try_concat().await
    }

    #[tokio::test]
    async fn a_file_is_sent_as_it_was_announced() {
        for length in [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, CHUNK_BYTES * 2] {
            let bytes = &BYTES[..length];
            assert_eq!(send_changed(bytes, bytes).await.unwrap(), bytes, "{length}");
        }
    }

    #[tokio::test]
    async fn a_file_that_changed_is_not_sent_whole() {
        let mut other = BYTES.to_vec();
        other[CHUNK_BYTES] = 8;
        let grown = [&BYTES[..], &[7]].concat();
        let changes: [(&[u8], &[u8]); 5] = [
            (&BYTES, &other),
            (&BYTES, &BYTES[..CHUNK_BYTES]),
            (&BYTES, &grown),
            (&BYTES, &[]),
            (&[], &[7]),
        ];
        for (before, after) in changes {
            let error = send_changed(before, after).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(fault("app.apk", &error).message().contains("changed"));
        }
    }

    #[tokio::test]
    async fn a_file_that_vanished_is_named() {
        let announced = Announced {
            path: "/no/such/file".into(),
            size: 1,
            sha256: [0; 32],
        };
        let error = announced.chunks().try_concat().await.unwrap_err();
        let Failure::Usage(message) = fault("app.apk", &error) else {
            panic!("{error:?}");
        };
        assert!(
            message.contains("app.apk") && message.contains("No such file"),
            "{message}"
        );
    }
}
