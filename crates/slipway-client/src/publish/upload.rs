//! Upload of a file: streamed from the disk, and verified by the server against the digest that was computed here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{Stream, TryStreamExt as _, stream};
use reqwest::Body;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::calls::Server;
use super::failure::Failure;
use super::local_file::LocalFile;
use super::output::{Output, Progress};

const CHUNK_BYTES: usize = 128 * 1024;

/// Uploads a file, unless the tenant has it.
pub(super) async fn upload(server: &Server, file: &LocalFile, output: &Output) -> Result<(), Failure> {
    let sha256 = file.sha256_hex();
    if server.get(&["artifacts", &sha256]).await?.is_some() {
        return output.note(&format!("{} is on the server already", file.filename));
    }
    let mut url = server.address(&["artifacts"])?;
    url.query_pairs_mut().append_pair("filename", &file.filename);
    let digest = format!("sha-256=:{}:", STANDARD.encode(file.sha256));
    let progress = output.progress(&file.filename, file.size);
    let done = server
        .call(|| {
            progress.restart();
            server
                .uploads
                .post(url.clone())
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(CONTENT_LENGTH, file.size)
                .header("Repr-Digest", &digest)
                .body(content(file, &progress))
        })
        .await;
    progress.finish();
    done.map(drop)
}

/// Returns the content of a file as the body of a request.
fn content(file: &LocalFile, progress: &Progress) -> Body {
    let (path, progress) = (file.path.clone(), progress.clone());
    let opened = stream::once(File::open(path)).map_ok(chunks).try_flatten();
    Body::wrap_stream(opened.inspect_ok(move |chunk| progress.advance(chunk.len())))
}

fn chunks(file: File) -> impl Stream<Item = std::io::Result<Vec<u8>>> {
    stream::try_unfold(file, async |mut file| {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let length = (&mut file)
            .take(CHUNK_BYTES as u64)
            .read_to_end(&mut chunk)
            .await?;
        Ok((length > 0).then_some((chunk, file)))
    })
}
