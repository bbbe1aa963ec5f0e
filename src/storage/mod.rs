//! Database access: the only module that uses the ORM.
//!
//! Each file covers one noun with free functions. Their first parameter is a [`Reader`], [`Tx`] or [`CatalogTx`], and
//! their second is the tenant's scope. Services own the transactions. A write that can change the result of a check
//! requires a [`CatalogTx`], whose commit always advances the tenant's [`CatalogRevision`](slipway_domain::catalog::revision::CatalogRevision). This module makes no
//! decisions, reads no clock and knows no status codes.
//!
//! SQLite and PostgreSQL run the same statements. Files with differences document them: `connect.rs`, `migrate.rs`,
//! `transaction.rs` and `error.rs`.

mod authority;
mod batch;
mod connect;
mod connection_queue;
mod database_file;
mod effective_releases;
#[expect(
    unreachable_pub,
    reason = "the derive needs public rows; the module itself is private"
)]
mod entity;
mod error;
mod etag;
mod hosts;
mod idle;
mod literal;
mod migrate;
mod notifications;
mod page;
mod pool;
mod pooler;
mod postgres;
mod postgres_transaction;
mod postgres_url;
mod priority_gate;
mod progress;
mod reader;
mod revisions;
mod row;
mod script;
mod selection;
mod statements;
mod timeouts;
mod transaction;
mod unavailability;
mod versioned;
mod write;
mod write_control;
mod write_probe;
mod writer_lock;

pub mod adoption;
pub mod adoption_counting;
pub mod apps;
pub mod artifacts;
pub mod audit;
pub mod callers;
pub mod catalog_states;
pub mod credentials;
pub mod device_changes;
pub mod device_counts;
mod device_filter;
pub mod device_installs;
pub mod device_presence;
pub mod device_tokens;
pub mod devices;
pub mod enrolment_codes;
pub mod idempotency;
pub mod key_usage;
pub mod leases;
pub mod nodes;
pub mod org_device_counts;
pub mod org_directories;
pub mod pins;
pub mod push_recipients;
pub mod push_targets;
pub mod pushes;
pub mod releases;
pub mod resources;
pub mod sessions;
pub mod settings;
pub mod tenants;
pub mod users;

pub use authority::Authority;
pub use connect::{
    Backend, ConnectSettings, Db, Durability, FileState, Gate, connect, create_sqlite, file_state,
    sqlite_path,
};
pub use error::{StorageError, UniqueKey};
pub use notifications::{Hint, Notification, NotificationListener};
pub use pool::PoolStatus;
pub use progress::{WriteProgress, current_writes, track_writes};
pub use reader::{Reader, Writer};
pub use selection::AppSelection;
pub use transaction::{CatalogTx, ReadTx, Tx};
pub use unavailability::{Cause, Unavailability};
pub use write_probe::check_writable;
