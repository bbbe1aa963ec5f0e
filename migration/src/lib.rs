//! Schema of Slipway, version by version.
//!
//! A merged migration is frozen. It names tables and columns as text, so that later changes of the program's entities
//! cannot change an old migration. Its helpers are in its own folder for the same reason.

mod m0001_initial;
mod m0002_app_secret_rotation;
mod m0003_devices;
mod m0004_pushes;
mod m0005_push_retention;
mod m0006_people_and_keys;
mod m0007_devices;
mod m0008_limits;

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::{MigrationTrait, async_trait};

/// List of all migrations, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_initial::Initial),
            Box::new(m0002_app_secret_rotation::AppSecretRotation),
            Box::new(m0003_devices::Devices),
            Box::new(m0004_pushes::Pushes),
            Box::new(m0005_push_retention::PushRetention),
            Box::new(m0006_people_and_keys::PeopleAndKeys),
            Box::new(m0007_devices::DeviceChanges),
            Box::new(m0008_limits::Limits),
        ]
    }
}
