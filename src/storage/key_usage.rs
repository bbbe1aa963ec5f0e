//! Secrets that depend on each of the installation's secret keys.

use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect};

use super::entity::{app_key, device_token};
use super::{Reader, StorageError};

/// Kind of secret that a secret key seals or verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    AppSecret,
    /// Secret of an app key from before its rotation.
    PreviousAppSecret,
    DeviceToken,
}

impl SecretKind {
    pub const ALL: [Self; 3] = [Self::AppSecret, Self::PreviousAppSecret, Self::DeviceToken];

    /// Returns the name in metrics and in the output of the command.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AppSecret => "app_secret",
            Self::PreviousAppSecret => "previous_app_secret",
            Self::DeviceToken => "device_token",
        }
    }
}

/// Number of secrets of one kind that need one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUsage {
    pub kind: SecretKind,
    pub key_id: String,
    pub count: u64,
}

/// Counts the secrets that need keys other than `key_id`. The secrets of `key_id` are omitted, because they are nearly
/// all.
pub async fn list_except(reader: &impl Reader, key_id: &str) -> Result<Vec<KeyUsage>, StorageError> {
    let mut usages = Vec::new();
    for (kind, column) in [
        (SecretKind::AppSecret, app_key::Column::SealingKeyId),
        (
            SecretKind::PreviousAppSecret,
            app_key::Column::PreviousSealingKeyId,
        ),
    ] {
        let counts: Vec<(String, i64)> = app_key::Entity::find()
            .select_only()
            .column(column)
            .column_as(app_key::Column::Id.count(), "count")
            .filter(column.ne(key_id))
            .group_by(column)
            .into_tuple()
            .all(reader.connection())
            .await?;
        usages.extend(counts.into_iter().map(|(key_id, count)| KeyUsage {
            kind,
            key_id,
            count: u64::try_from(count).unwrap_or(0),
        }));
    }
    for other in device_token_keys(reader).await? {
        if other == key_id {
            continue;
        }
        let count = device_token::Entity::find()
            .filter(device_token::Column::KeyId.eq(other.as_str()))
            .count(reader.connection())
            .await?;
        usages.push(KeyUsage {
            kind: SecretKind::DeviceToken,
            key_id: other,
            count,
        });
    }
    Ok(usages)
}

/// Lists the keys that device tokens were issued with.
///
/// Skips from key to key in the index, regardless of the number of tokens.
async fn device_token_keys(reader: &impl Reader) -> Result<Vec<String>, StorageError> {
    use device_token::{Column, Entity};
    let mut keys: Vec<String> = Vec::new();
    loop {
        let mut next = Entity::find()
            .select_only()
            .column_as(Column::KeyId.min(), "key_id");
        if let Some(last) = keys.last() {
            next = next.filter(Column::KeyId.gt(last.as_str()));
        }
        let next: Option<Option<String>> = next.into_tuple().one(reader.connection()).await?;
        match next.flatten() {
            Some(key) => keys.push(key),
            None => return Ok(keys),
        }
    }
}
