//! Errors of the store, by the possible reaction of the caller.

use std::io;
use std::time::Duration;

type Source = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the object is not in the artifact store")]
    NotFound,
    /// The object has another size or digest than its artifact.
    #[error("the stored content is damaged; upload the file again")]
    Damaged,
    /// The store lacks the objects of this installation.
    #[error(
        "the artifact store has no marker, or that of another installation: correct SLIPWAY_ARTIFACTS_URL, or mount \
         its volume"
    )]
    Foreign,
    /// The disk or the quota of the store is full.
    #[error("the artifact store is full")]
    Full(#[source] Source),
    /// The store does not respond, or refuses access.
    #[error("the artifact store is unavailable")]
    Unavailable(#[source] Source),
}

/// Parts of the responses of a service whose disk or quota is full: the status 507, and the codes of MinIO and Ceph. The
/// library exposes them as the text of an error alone.
const FULL_RESPONSES: [&str; 4] = [
    "status code: 507",
    "<Code>XMinioStorageFull<",
    "<Code>XMinioAdminBucketQuotaExceeded<",
    "<Code>QuotaExceeded<",
];

impl StoreError {
    pub(super) fn silent(limit: Duration) -> Self {
        Self::Unavailable(format!("no answer within {} s", limit.as_secs()).into())
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(error.into()),
            _ => Self::Unavailable(error.into()),
        }
    }
}

impl From<object_store::Error> for StoreError {
    fn from(error: object_store::Error) -> Self {
        if matches!(error, object_store::Error::NotFound { .. }) {
            return Self::NotFound;
        }
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(cause) = source {
            if is_full(cause) {
                return Self::Full(error.into());
            }
            source = cause.source();
        }
        Self::Unavailable(error.into())
    }
}

fn is_full(cause: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        );
    }
    let text = cause.to_string();
    FULL_RESPONSES.iter().any(|part| text.contains(part))
}

impl From<tokio::task::JoinError> for StoreError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Unavailable(error.into())
    }
}
