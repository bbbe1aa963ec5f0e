//! Addresses of the command line. Their errors never repeat the address, which may contain a secret.

use reqwest::Url;

use super::failure::Failure;
use crate::server::server_url;

/// Parses the base URL of the server.
pub(super) fn server(text: &str) -> Result<Url, Failure> {
    let url = server_url(text).and_then(without_credentials);
    url.map_err(|why| Failure::Usage(format!("SLIPWAY_URL, --server: {why}")))
}

/// Parses the address of an external file.
pub(super) fn external(text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).map_err(|why| why.to_string());
    let url = url.and_then(require_http).and_then(without_credentials);
    url.map_err(|why| Failure::Usage(format!("--url: {why}")))
}

/// Returns the query and fragment of an address, which may contain a signature; `None` if it has neither.
pub(super) fn secret_part(url: &Url) -> Option<&str> {
    let start = url.as_str().find(['?', '#'])?;
    Some(&url.as_str()[start..]).filter(|secret| secret.len() > 1)
}

fn require_http(url: Url) -> Result<Url, String> {
    if matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err("only http:// and https:// can be downloaded".to_owned())
    }
}

fn without_credentials(url: Url) -> Result<Url, String> {
    if url.username().is_empty() && url.password().is_none() {
        Ok(url)
    } else {
        Err("must contain no user or password".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_addresses_do_not_repeat_them() {
        for text in [
            "https://user:hunter2@files.example/a.apk",
            "https://hunter2@files.example/a.apk",
            "ftp://files.example/hunter2",
            "https://files.example:hunter2/",
        ] {
            for error in [external(text).unwrap_err(), server(text).unwrap_err()] {
                assert!(matches!(error, Failure::Usage(_)), "{error:?}");
                assert!(!error.message().contains("hunter2"), "{error:?}");
            }
        }
        assert!(server("https://slipway.example/?key=hunter2").is_err());
    }

    #[test]
    fn the_query_and_the_fragment_may_be_secret() {
        let secret = |text: &str| secret_part(&external(text).unwrap()).map(str::to_owned);
        assert_eq!(
            secret("https://files.example/a.apk?s=1#f").as_deref(),
            Some("?s=1#f")
        );
        assert_eq!(secret("https://files.example/a.apk#f").as_deref(), Some("#f"));
        assert_eq!(secret("https://files.example/a.apk?"), None);
        assert_eq!(secret("https://files.example/a.apk"), None);
    }
}
