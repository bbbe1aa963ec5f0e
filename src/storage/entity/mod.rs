//! The tables as rows of plain columns. What they mean is told where they are mapped: one room up, file by noun.

pub(super) mod api_token;
pub(super) mod app;
pub(super) mod app_key;
pub(super) mod audit_event;
pub(super) mod catalog_revision;
pub(super) mod device;
pub(super) mod device_install;
pub(super) mod device_key;
pub(super) mod device_token;
pub(super) mod enrolment_code;
pub(super) mod idempotency_record;
pub(super) mod lease;
pub(super) mod node;
pub(super) mod org_directory;
pub(super) mod package_name;
pub(super) mod pin;
pub(super) mod platform_token;
pub(super) mod push;
pub(super) mod push_repeat;
pub(super) mod push_target;
pub(super) mod release;
pub(super) mod resource;
pub(super) mod session;
pub(super) mod setting;
pub(super) mod tenant;
pub(super) mod user;
