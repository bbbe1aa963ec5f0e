//! Columns that all tables of credentials have.

use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::prelude::Uuid;

use crate::storage::StorageError;
use crate::storage::entity::{api_token, app_key, device_key, platform_token};
use crate::storage::row::Row;
use slipway_domain::access::{ClientCredential, KeyFacts};
use slipway_domain::catalog::ids::KeyId;
use slipway_domain::catalog::text::Name;
use slipway_domain::catalog::versioned::Versioned;

/// Row of a table of credentials.
pub trait CredentialRow {
    fn id(&self) -> Uuid;
}

/// Columns that all tables of credentials have.
pub(super) struct CommonColumns {
    table: &'static str,
    id: Uuid,
    name: String,
    facts: KeyFacts,
    etag: String,
    created_at: DateTime<Utc>,
}

impl CommonColumns {
    /// Reads a credential. `make` adds the fields of its kind.
    pub(super) fn read<K>(
        self,
        make: impl FnOnce(KeyId, Name, KeyFacts) -> K,
    ) -> Result<Versioned<K>, StorageError> {
        let name = Row::of(self.table, self.id).column("name", Name::parse(self.name))?;
        Ok(Versioned {
            value: make(KeyId::from_uuid(self.id), name, self.facts),
            etag: self.etag,
            created_at: self.created_at,
            updated_at: self.created_at,
        })
    }
}

/// Converts the common columns of a table. The ORM has a separate row type for each table.
macro_rules! common_columns {
    ($($entity:ident in $table:literal),*) => {$(
        impl CredentialRow for $entity::Model {
            fn id(&self) -> Uuid {
                self.id
            }
        }

        impl From<$entity::Model> for CommonColumns {
            fn from(row: $entity::Model) -> Self {
                Self {
                    table: $table,
                    id: row.id,
                    name: row.name,
                    facts: KeyFacts {
                        created_by: row.created_by,
                        expires_at: row.expires_at,
                        last_used_on: row.last_used_on,
                    },
                    etag: row.etag,
                    created_at: row.created_at,
                }
            }
        }

        impl<K: ClientCredential> From<&Versioned<K>> for $entity::ActiveModel {
            fn from(stored: &Versioned<K>) -> Self {
                let facts = stored.value.facts();
                Self {
                    id: Set(stored.value.id().uuid()),
                    name: Set(stored.value.name().as_str().to_owned()),
                    created_by: Set(facts.created_by.clone()),
                    expires_at: Set(facts.expires_at),
                    last_used_on: Set(facts.last_used_on),
                    etag: Set(stored.etag.clone()),
                    created_at: Set(stored.created_at),
                    ..Default::default()
                }
            }
        }
    )*};
}

common_columns!(
    api_token in "api_tokens",
    app_key in "app_keys",
    device_key in "device_keys",
    platform_token in "platform_tokens"
);
