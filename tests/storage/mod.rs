//! Guarantees of the storage layer, on both databases.

mod abandoned;
mod adoption;
mod apps;
mod artifacts;
mod catalog_states;
mod catalog_tx;
mod device_counts;
mod devices;
mod effective_releases;
mod idempotency;
mod identity;
mod migrations;
mod operation;
mod pins;
mod pushes;
mod releases;
mod tenants;
pub(crate) mod values;
