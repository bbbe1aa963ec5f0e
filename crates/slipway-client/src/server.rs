//! HTTP clients of the commands.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};

/// Timeout of a call.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Parses the base URL of a server, `http://host:port`. A path is kept as a prefix.
pub(super) fn server_url(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|why| format!("{why}; give http://host:port"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http:// and https:// can be called".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it must have no query or fragment".to_owned());
    }
    // `Url::join` replaces everything after the last slash.
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// Builds a client for a server. It follows no redirects: the signature or token is only for the given address, and a
/// form would be lost on the way.
pub(super) fn client(url: &Url) -> anyhow::Result<Client> {
    build(builder(url).timeout(TIMEOUT))
}

/// Builds a client for streamed answers, which continue while data arrives at least every `silence`.
pub(super) fn streaming_client(url: &Url, silence: Duration) -> anyhow::Result<Client> {
    build(builder(url).connect_timeout(TIMEOUT).read_timeout(silence))
}

/// Builds a client for uploads, which have no time limit of its own.
pub(super) fn upload_client(url: &Url) -> anyhow::Result<Client> {
    build(builder(url).connect_timeout(TIMEOUT))
}

fn builder(url: &Url) -> ClientBuilder {
    let builder = Client::builder().redirect(Policy::none());
    if url.scheme() == "https" {
        builder
    } else {
        // A machine without certificates can still call over HTTP.
        builder.tls_certs_only([])
    }
}

fn build(builder: ClientBuilder) -> anyhow::Result<Client> {
    builder
        .build()
        .context("the system's certificates cannot be used")
}
