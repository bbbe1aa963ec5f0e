//! Address of an artifact store.

use std::path::PathBuf;
use std::str::FromStr;

/// Place of the artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreAddress {
    Folder(PathBuf),
    Bucket { name: String, prefix: String },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be file:///path or s3://bucket/prefix")]
pub struct AddressError;

impl FromStr for StoreAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("file://") {
            let url = url::Url::parse(text).map_err(|_| AddressError)?;
            let path = (path.starts_with('/') && url.query().is_none() && url.fragment().is_none())
                .then(|| url.to_file_path().ok())
                .flatten();
            return path.map(Self::Folder).ok_or(AddressError);
        }
        let rest = text.strip_prefix("s3://").ok_or(AddressError)?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let is_valid = !name.is_empty()
            && name.bytes().all(is_plain)
            && prefix.bytes().all(|byte| is_plain(byte) || byte == b'/');
        is_valid
            .then(|| Self::Bucket {
                name: name.to_owned(),
                prefix: prefix.trim_matches('/').to_owned(),
            })
            .ok_or(AddressError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_folders_or_buckets() {
        let bucket = |name: &str, prefix: &str| {
            Ok(StoreAddress::Bucket {
                name: name.to_owned(),
                prefix: prefix.to_owned(),
            })
        };
        for (text, expected) in [
            ("file:///srv/a%20b", Ok(StoreAddress::Folder("/srv/a b".into()))),
            ("s3://bucket", bucket("bucket", "")),
            ("s3://my.bucket/a/b/", bucket("my.bucket", "a/b")),
            ("s3:///a", Err(AddressError)),
            ("s3://user:secret@b/a", Err(AddressError)),
            ("file://host/a", Err(AddressError)),
            ("file://a", Err(AddressError)),
            ("/srv/a", Err(AddressError)),
            ("gs://b", Err(AddressError)),
            ("", Err(AddressError)),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }
}
