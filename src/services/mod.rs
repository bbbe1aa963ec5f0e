//! Use cases: authorize, load, decide, save, audit.
//!
//! They own the transactions and depend neither on HTTP nor on SQL.

mod audit;
mod audited_release;
mod call_limits;
mod check_counts;
mod check_path;
mod deadline;
mod device_limits;
mod enrolment_limits;
mod error;
mod heavy_calls;
mod idempotency;
mod login_attempts;
mod login_failures;
mod network;
mod new_devices;
mod nodes;
mod owner;
mod publication_gates;
mod rate_limit;
mod release_files;
mod release_lookup;
mod remembered_sessions;
mod token_lookups;
mod transition_context;

pub mod administrators;
pub mod adoption;
pub mod apps;
pub mod artifact_parts;
pub mod artifacts;
pub mod authentication;
pub mod batch_writer;
pub mod checks;
pub mod credentials;
pub mod device_records;
pub mod devices;
pub mod enrolment;
pub mod explain;
pub mod housekeeping;
pub mod installation;
pub mod key_uses;
pub mod me;
pub mod memory;
pub mod offer_preview;
pub mod org_directory;
pub mod org_tree;
mod org_trees;
pub mod outbox;
pub mod permits;
pub mod pins;
pub mod push_channels;
pub mod push_delivery;
pub mod pushes;
pub mod rekey;
pub mod release_transitions;
pub mod releases;
pub mod resources;
pub mod restore;
pub mod search;
pub mod tenants;
pub mod users;
pub mod write_health;
pub mod write_probe_task;

mod context;

pub use audit::{list as list_audit, list_platform as list_platform_audit};
pub use call_limits::CallLimits;
pub use check_counts::CheckCounts;
pub use check_path::{CheckIntervals, CheckPath};
pub use context::{
    Authentication, Caller, Context, ContextParts, DeviceAdmission, NodeState, Precondition, Workload,
    WriteResult,
};
pub use deadline::{DeadlineSuspension, suspend_deadline, within_deadline};
pub use device_limits::DeviceLimits;
pub use enrolment_limits::EnrolmentLimits;
pub use error::{CALL_LIMIT, ServiceError};
pub use heavy_calls::HeavyCalls;
pub use idempotency::{
    Answer, IdempotencyOutcome, IdempotentRequest, IdempotentWrite, Reservation, find_answer, record_answer,
    reserve as reserve_idempotency_key,
};
pub use login_attempts::{LoginAttempts, LoginLimits};
pub use login_failures::LoginFailures;
pub use network::network_of;
pub use new_devices::NewDevices;
pub use owner::{Owner, RequiredPermission};
pub use permits::{Permit, PermitClass, Permits};
pub use release_lookup::ReleaseAddress;
pub use remembered_sessions::RememberedSessions;
pub use token_lookups::TokenLookups;
