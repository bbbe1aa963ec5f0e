//! Creates the parts of the context that are only limits and keys.

use std::sync::Arc;

use anyhow::Context as _;
use chrono::TimeDelta;

use super::settings::{artifact_settings, login_limits, store_address};
use crate::artifact_store::{ArtifactStore, StoreAddress};
use crate::config::Config;
use crate::live::RevokedTokens;
use crate::secrets::{AccessTokens, Keyring};
use crate::services::artifact_parts::Artifacts;
use crate::services::key_uses::KeyUses;
use crate::services::{
    Authentication, CallLimits, DeviceAdmission, DeviceLimits, EnrolmentLimits, HeavyCalls, LoginAttempts,
    LoginFailures, NewDevices, Permits, RememberedSessions, TokenLookups, Workload,
};

const ACCESS_TOKEN_LIFETIME: TimeDelta = TimeDelta::minutes(15);

pub(super) fn authentication(config: &Config, keyring: &Keyring, key_uses: KeyUses) -> Authentication {
    Authentication {
        access_tokens: AccessTokens::new(keyring, ACCESS_TOKEN_LIFETIME),
        attempts: LoginAttempts::new(login_limits(config)),
        failures: LoginFailures::new(),
        token_lookups: TokenLookups::new(config.invalid_tokens_per_source),
        key_uses: Arc::new(key_uses),
        remembered_sessions: RememberedSessions::new(TimeDelta::seconds(i64::from(config.stale_after_s))),
    }
}

pub(super) fn device_admission(
    config: &Config,
    revoked_tokens: Arc<RevokedTokens>,
    new_devices: Arc<NewDevices>,
) -> DeviceAdmission {
    DeviceAdmission {
        revoked_tokens,
        limits: DeviceLimits::new(config.delivery.device_rate),
        enrolment_limits: EnrolmentLimits::new(),
        new_devices,
    }
}

/// Returns the artifact store with its settings. The store may be unreachable.
pub(super) fn artifacts(config: &Config) -> anyhow::Result<Artifacts> {
    let settings = artifact_settings(config)?;
    let address = store_address(config)?;
    let is_own_folder = config.artifacts.url.is_none();
    if let (true, StoreAddress::Folder(folder)) = (is_own_folder, &address) {
        // A configured folder is never created, because it may be a volume that is not mounted.
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let store = ArtifactStore::new(&address, &config.data_dir, &config.artifacts.bucket_variables)
        .context("SLIPWAY_ARTIFACTS_URL")?;
    Ok(Artifacts::new(store, settings))
}

pub(super) fn workload(config: &Config) -> Workload {
    Workload {
        permits: Permits::new(usize::try_from(config.costly_calls).unwrap_or(usize::MAX)),
        heavy_calls: HeavyCalls::start(),
        gateway_calls: CallLimits::new(config.gateway_calls_per_minute),
    }
}
