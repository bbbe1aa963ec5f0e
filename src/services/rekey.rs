//! Rotation of the installation's secret keys: lists the secrets under old keys and seals them again with the first
//! key.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use metrics::gauge;

use super::audit::{self, Actor, AuditedChange, RekeyDetails, TokenRevocationDetails};
use super::{Context, ServiceError, installation};
use crate::secrets::{Keyring, KeyringError, SealedSecret, sealed_for_app_key};
use crate::storage::credentials::app_keys::{self, SealedAppKey, SealedSecrets};
use crate::storage::key_usage::{self, KeyUsage, SecretKind};
use crate::storage::{Db, device_tokens};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::audit_action::AuditAction;
use slipway_domain::catalog::ids::{KeyId, TenantId};

/// App keys per statement. A transaction of a tenant therefore has at most as many.
const BATCH: u64 = 200;

/// Lists all secrets that need a key other than the first.
pub async fn list_needs(db: &Db, keyring: &Keyring) -> Result<Vec<KeyUsage>, ServiceError> {
    Ok(key_usage::list_except(db, keyring.primary_key_id()).await?)
}

/// Updates the gauges of secrets under old keys.
pub(super) async fn observe(ctx: &Context) -> Result<(), ServiceError> {
    let needs = list_needs(ctx.db(), ctx.keyring()).await?;
    for kind in SecretKind::ALL {
        let of_kind = needs.iter().filter(|need| need.kind == kind);
        let count: u64 = of_kind.map(|need| need.count).sum();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        gauge!("slipway_secrets_under_old_key", "kind" => kind.as_str()).set(count);
    }
    Ok(())
}

/// Result of a rekey.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RekeyReport {
    /// App keys whose secrets were sealed again.
    pub app_keys: u64,
    /// App keys that were changed concurrently. Their writer sealed them with its own first key.
    pub changed: u64,
    /// App keys with a secret that none of the given keys opens.
    pub unreadable: u64,
}

/// Seals secrets under old keys again with the first key, one batch per transaction.
///
/// It can be interrupted and repeated, and it can run beside running nodes. Nodes load the changed tenants and save
/// them in their snapshots.
pub async fn rekey(db: &Db, keyring: &Keyring, now: DateTime<Utc>) -> Result<RekeyReport, ServiceError> {
    installation::check_keyring(db, keyring)
        .await
        .map_err(ServiceError::internal)?;
    let mut done = RekeyReport::default();
    let mut after = None;
    loop {
        let batch = app_keys::list_not_sealed_with(db, keyring.primary_key_id(), after, BATCH).await?;
        let Some(last) = batch.last() else {
            break;
        };
        after = Some((last.tenant, last.id));
        let mut by_tenant: BTreeMap<TenantId, Vec<SealedAppKey>> = BTreeMap::new();
        for key in batch {
            by_tenant.entry(key.tenant).or_default().push(key);
        }
        for (tenant, keys) in by_tenant {
            rekey_tenant(db, keyring, tenant, keys, &mut done).await?;
        }
    }
    if done.app_keys > 0 {
        let details = RekeyDetails {
            app_keys: done.app_keys,
        };
        let change =
            AuditedChange::new(AuditAction::InstallationRekey, keyring.primary_key_id()).with_after(&details);
        let tx = db.begin().await?;
        audit::record_at(&tx, now, Actor::of_command_line(), None, change);
        tx.commit().await?;
    }
    Ok(done)
}

async fn rekey_tenant(
    db: &Db,
    keyring: &Keyring,
    tenant: TenantId,
    keys: Vec<SealedAppKey>,
    done: &mut RekeyReport,
) -> Result<(), ServiceError> {
    let tx = db.begin_catalog(TenantScope::internal(tenant)).await?;
    let mut written = 0;
    for key in keys {
        let sealed = match seal_again(keyring, key.id, &key.secrets) {
            Ok(sealed) => sealed,
            Err(error) => {
                tracing::error!(tenant.id = %tenant, key.id = %key.id, %error, "an app secret cannot be sealed again");
                done.unreadable += 1;
                continue;
            }
        };
        if app_keys::replace_secrets(&tx, key.id, &key.secrets, sealed).await? {
            written += 1;
        } else {
            done.changed += 1;
        }
    }
    if written > 0 {
        tx.commit().await?;
        done.app_keys += written;
    }
    Ok(())
}

fn seal_again(keyring: &Keyring, id: KeyId, secrets: &SealedSecrets) -> Result<SealedSecrets, KeyringError> {
    let owner = sealed_for_app_key(id);
    let again = |secret: &app_keys::SealedSecret| {
        let opened = keyring.open(
            &SealedSecret {
                key_id: secret.sealing_key_id.clone(),
                sealed: secret.text.clone(),
            },
            &owner,
        )?;
        let sealed = keyring.seal(&opened, &owner)?;
        Ok::<_, KeyringError>(app_keys::SealedSecret {
            text: sealed.sealed,
            sealing_key_id: sealed.key_id,
        })
    };
    Ok(SealedSecrets {
        current: again(&secrets.current)?,
        previous: secrets.previous.as_ref().map(again).transpose()?,
    })
}

/// Revokes device tokens that need an old key, so that the key can be removed. Returns the number of tokens.
///
/// Such a device enrols again with a one-time code.
pub async fn revoke_old_device_tokens(
    db: &Db,
    keyring: &Keyring,
    now: DateTime<Utc>,
) -> Result<u64, ServiceError> {
    let mut revoked = 0;
    loop {
        let count = device_tokens::revoke_not_made_with(db, keyring.primary_key_id(), now, BATCH).await?;
        revoked += count;
        if count == 0 {
            break;
        }
    }
    if revoked > 0 {
        let change = AuditedChange::new(
            AuditAction::InstallationRevokeOldDeviceTokens,
            keyring.primary_key_id(),
        )
        .with_after(&TokenRevocationDetails {
            device_tokens: revoked,
        });
        let tx = db.begin().await?;
        audit::record_at(&tx, now, Actor::of_command_line(), None, change);
        tx.commit().await?;
    }
    Ok(revoked)
}
