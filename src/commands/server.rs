//! How commands reach a server.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reads the base of a server, `http://host:port`; a path below it stays.
pub(super) fn server_url(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|why| format!("{why}; give http://host:port"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http:// and https:// can be called".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it ends with the path".to_owned());
    }
    // `Url::join` replaces what stands behind the last slash.
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// A client for a server. Follows no redirection: what is sent, a signature or a token, is for the address that was
/// given, and a form would be lost on the way.
pub(super) fn client(url: &Url) -> anyhow::Result<Client> {
    build(builder(url).timeout(TIMEOUT))
}

/// The same for answers that go on for as long as something comes at least every `silence`.
pub(super) fn streaming_client(url: &Url, silence: Duration) -> anyhow::Result<Client> {
    build(builder(url).connect_timeout(TIMEOUT).read_timeout(silence))
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
