//! Files at addresses outside the server. They are downloaded here, because the server never fetches an address.

use std::io::Write as _;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use tempfile::NamedTempFile;

use super::arguments::GivenFile;
use super::attempt::{AttemptError, is_temporary, repeat};
use super::failure::Failure;
use super::local_file::{ExternalFile, LocalFile};
use super::output::Output;

const SILENCE: Duration = Duration::from_secs(30);
/// Maximum size of a download: that of an artifact.
const MAX_BYTES: u64 = 2 << 30;

/// Downloads and reads a file.
pub(super) async fn download(url: &Url, retries: u32, output: &Output) -> Result<LocalFile, Failure> {
    let client = Client::builder()
        .redirect(Policy::limited(5))
        .connect_timeout(SILENCE)
        .read_timeout(SILENCE);
    let client = client.build().map_err(Failure::local)?;
    let filename = url.path_segments().and_then(|mut segments| segments.next_back());
    let filename = filename
        .filter(|name| !name.is_empty())
        .unwrap_or("file")
        .to_owned();
    let what = format!("{url} cannot be downloaded");
    let copy = repeat(&what, retries, async || {
        try_download(&client, url, &filename, output).await
    });
    let copy = copy.await?;
    let given = GivenFile {
        identifier: None,
        path: copy.path().to_owned(),
    };
    let mut file = LocalFile::read_as(given, filename).await?;
    file.external = Some(ExternalFile {
        url: url.clone(),
        _copy: copy,
    });
    Ok(file)
}

async fn try_download(
    client: &Client,
    url: &Url,
    filename: &str,
    output: &Output,
) -> Result<NamedTempFile, AttemptError> {
    let response = client.get(url.clone()).send().await.map_err(AttemptError::of)?;
    let status = response.status();
    if is_temporary(status) {
        return Err(AttemptError::of_status(&response));
    }
    if !status.is_success() {
        return Err(AttemptError::Final(Failure::Refused(format!(
            "{url} was answered {status}"
        ))));
    }
    write_body(response, filename, output).await
}

async fn write_body(
    mut response: Response,
    filename: &str,
    output: &Output,
) -> Result<NamedTempFile, AttemptError> {
    let local = |error: std::io::Error| AttemptError::Final(Failure::local(error));
    let mut copy = NamedTempFile::new().map_err(local)?;
    let progress = output.progress(filename, response.content_length().unwrap_or_default());
    let mut size = 0;
    loop {
        let Some(chunk) = response.chunk().await.map_err(AttemptError::of)? else {
            progress.finish();
            return Ok(copy);
        };
        size += chunk.len() as u64;
        if size > MAX_BYTES {
            let message = format!("{filename} has more than {MAX_BYTES} bytes");
            return Err(AttemptError::Final(Failure::Refused(message)));
        }
        copy.write_all(&chunk).map_err(local)?;
        progress.advance(chunk.len());
    }
}
