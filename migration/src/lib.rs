//! The schema of Slipway, version by version. `README.md` has the rules.
//!
//! A migration is frozen once merged. It names tables and columns as text, so that later changes of the program's
//! entities cannot change it, and its helpers are in its own folder for the same reason.

mod m0001_initial;
mod m0002_effective_releases;
mod m0003_changed_content;
mod m0004_artifacts;
mod m0005_audit_objects;
mod m0006_min_sdk_index;
mod m0007_adoption;
mod m0008_artifact_jobs;
mod m0009_org_device_counts;
mod m0010_push_senders;
mod m0011_list_indexes;
mod m0012_refresh_function;
mod m0013_page_indexes;
mod m0014_lookup_indexes;
mod m0015_device_counts;

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::{MigrationTrait, async_trait};

/// All versions of the schema, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_initial::Initial),
            Box::new(m0002_effective_releases::EffectiveReleases),
            Box::new(m0003_changed_content::ChangedContent),
            Box::new(m0004_artifacts::Artifacts),
            Box::new(m0005_audit_objects::AuditObjects),
            Box::new(m0006_min_sdk_index::MinSdkIndex),
            Box::new(m0007_adoption::Adoption),
            Box::new(m0008_artifact_jobs::ArtifactJobs),
            Box::new(m0009_org_device_counts::OrgDeviceCounts),
            Box::new(m0010_push_senders::PushSenders),
            Box::new(m0011_list_indexes::ListIndexes),
            Box::new(m0012_refresh_function::RefreshFunction),
            Box::new(m0013_page_indexes::PageIndexes),
            Box::new(m0014_lookup_indexes::LookupIndexes),
            Box::new(m0015_device_counts::DeviceCounts),
        ]
    }
}
