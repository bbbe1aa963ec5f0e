//! Errors of the store, by the possible reaction of the caller.

use std::io;
use std::time::Duration;

type Source = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the object is not in the artifact store")]
    NotFound,
    /// The disk or the quota of the store is full.
    #[error("the artifact store is full")]
    Full(#[source] Source),
    /// The store does not respond, or refuses access.
    #[error("the artifact store is unavailable")]
    Unavailable(#[source] Source),
}

impl StoreError {
    /// Content with another size or digest than the artifact's.
    pub fn damaged() -> Self {
        Self::Unavailable("the stored content is damaged; upload the file again".into())
    }

    /// A store that lacks the objects of this installation.
    pub fn foreign() -> Self {
        Self::Unavailable(
            "its marker is missing or of another installation: correct SLIPWAY_ARTIFACTS_URL, or mount its volume"
                .into(),
        )
    }

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
            let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
            if matches!(
                kind,
                Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            ) {
                return Self::Full(error.into());
            }
            source = cause.source();
        }
        Self::Unavailable(error.into())
    }
}

impl From<tokio::task::JoinError> for StoreError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Unavailable(error.into())
    }
}
