//! Creates the parts of the context that are only limits and keys.

use std::sync::Arc;

use chrono::TimeDelta;

use super::settings::login_limits;
use crate::config::Config;
use crate::live::RevokedTokens;
use crate::secrets::{AccessTokens, Keyring};
use crate::services::key_uses::KeyUses;
use crate::services::{
    Authentication, CallLimits, DeviceAdmission, DeviceLimits, EnrolmentLimits, HeavyCalls, LoginAttempts,
    LoginFailures, NewDevices, Permits, TokenLookups, Workload,
};

const ACCESS_TOKEN_LIFETIME: TimeDelta = TimeDelta::minutes(15);

pub(super) fn authentication(config: &Config, keyring: &Keyring, key_uses: KeyUses) -> Authentication {
    Authentication {
        access_tokens: AccessTokens::new(keyring, ACCESS_TOKEN_LIFETIME),
        attempts: LoginAttempts::new(login_limits(config)),
        failures: LoginFailures::new(),
        token_lookups: TokenLookups::new(config.invalid_tokens_per_source),
        key_uses: Arc::new(key_uses),
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

pub(super) fn workload(config: &Config) -> Workload {
    Workload {
        permits: Permits::new(usize::try_from(config.costly_calls).unwrap_or(usize::MAX)),
        heavy_calls: HeavyCalls::start(),
        gateway_calls: CallLimits::new(config.gateway_calls_per_minute),
    }
}
