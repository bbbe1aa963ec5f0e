//! Parts of the [`Context`](super::Context), each with the state that one group of use cases shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

use crate::live::RevokedTokens;
use crate::secrets::AccessTokens;
use crate::services::call_limits::CallLimits;
use crate::services::device_limits::DeviceLimits;
use crate::services::enrolment_limits::EnrolmentLimits;
use crate::services::heavy_calls::HeavyCalls;
use crate::services::key_uses::KeyUses;
use crate::services::login_attempts::LoginAttempts;
use crate::services::login_failures::LoginFailures;
use crate::services::new_devices::NewDevices;
use crate::services::permits::Permits;
use crate::services::remembered_sessions::RememberedSessions;
use crate::services::token_lookups::TokenLookups;
use crate::services::write_health::WriteHealth;
use crate::supervision::Tasks;

/// Authentication of people and pipelines: their access tokens, and the limits on attempts.
pub struct Authentication {
    pub access_tokens: AccessTokens,
    pub attempts: LoginAttempts,
    pub failures: LoginFailures,
    pub token_lookups: TokenLookups,
    pub key_uses: Arc<KeyUses>,
    pub remembered_sessions: RememberedSessions,
}

/// Admission of devices: their revoked tokens, and the limits on pushes, acknowledgements and enrolments.
pub struct DeviceAdmission {
    pub revoked_tokens: Arc<RevokedTokens>,
    pub limits: DeviceLimits,
    pub enrolment_limits: EnrolmentLimits,
    pub new_devices: Arc<NewDevices>,
}

/// Bounds on the work that calls may cause at one time.
pub struct Workload {
    pub permits: Permits,
    pub heavy_calls: HeavyCalls,
    pub gateway_calls: CallLimits,
}

/// State of this run of the node.
pub struct NodeState {
    /// Id of this run in the database.
    pub id: Uuid,
    pub tasks: Tasks,
    pub write_health: WriteHealth,
    is_draining: AtomicBool,
}

impl NodeState {
    pub fn new(id: Uuid) -> Self {
        Self {
            id,
            tasks: Tasks::default(),
            write_health: WriteHealth::default(),
            is_draining: AtomicBool::new(false),
        }
    }

    /// Reports the node as draining, so that load balancers send no more requests. It stops shortly afterwards.
    pub fn begin_drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }
}
