//! What happens once at a start: the first administrator, and the proof that the secret key opens what is stored.

use super::{Context, ServiceError};
use crate::access::{Role, User};
use crate::catalog::ids::UserId;
use crate::catalog::text::Username;
use crate::secrets::{Keyring, KeyringError, SealedSecret, hash_password, new_password};
use crate::storage::{Db, StorageError, UniqueKey, app_keys, settings, users};

/// Sealed at the first start and opened at every later one.
const CANARY: &str = "secret_key_canary";

#[derive(Debug, thiserror::Error)]
pub enum KeyCheckError {
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The first administrator, when this start made one.
pub struct FirstAdministrator {
    pub username: String,
    /// Only when it was made up; to be printed once.
    pub password: Option<String>,
}

/// Makes the first administrator if there is nobody yet.
pub async fn ensure_administrator(
    ctx: &Context,
    username: Username,
    password: Option<String>,
) -> Result<Option<FirstAdministrator>, ServiceError> {
    if users::exists_any(&ctx.db).await? {
        return Ok(None);
    }
    let made_up = password.is_none().then(new_password);
    let given = password.or_else(|| made_up.clone()).unwrap_or_default();
    let hash = hash_password(given).await;
    let user = User {
        id: UserId::generate(),
        tenant: None,
        username: username.clone(),
        role: Role::PlatformAdmin,
        enabled: true,
    };
    let tx = ctx.db.begin().await?;
    match users::insert(&tx, user, hash.as_str().to_owned(), ctx.now()).await {
        Ok(_) => tx.commit().await?,
        // Another node starting at the same moment was first.
        Err(StorageError::Conflict(UniqueKey::Username)) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    Ok(Some(FirstAdministrator {
        username: username.into_string(),
        password: made_up,
    }))
}

/// Refuses keys that cannot open what is stored: better not to start than to lose secrets bit by bit.
pub async fn check_keyring(db: &Db, keyring: &Keyring) -> Result<(), KeyCheckError> {
    keyring.holds_all(&app_keys::list_sealing_key_ids(db).await?)?;
    let sealed = keyring.seal("slipway", CANARY)?;
    let text = format!("{}.{}", sealed.key_id, sealed.sealed);
    let tx = db.begin().await?;
    // Of nodes that start together with different keys the first wins, and the others see it here.
    settings::insert_if_absent(&tx, CANARY, &text).await?;
    let stored = settings::find(&tx, CANARY).await?.unwrap_or_default();
    let (key_id, sealed) = stored.split_once('.').ok_or(KeyringError::CannotOpen)?;
    let stored = SealedSecret {
        key_id: key_id.to_owned(),
        sealed: sealed.to_owned(),
    };
    keyring.open(&stored, CANARY)?;
    // Sealed anew at each start, so that a retired key can be dropped once nothing else needs it.
    settings::upsert(&tx, CANARY, &text).await?;
    Ok(tx.commit().await?)
}
