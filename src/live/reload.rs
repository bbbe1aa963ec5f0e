//! Reload of a served tenant: reads what changed in its apps, and shares the rest with the served catalog.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::compile::{cannot_be_compiled, load_app};
use super::published::{LoadedApp, PublishedTenant};
use crate::random;
use crate::storage::catalog_states::{self, AppChanges, ResourceRows};
use crate::storage::releases::ReleaseSelection;
use crate::storage::{AppSelection, ReadTx, StorageError};
use slipway_domain::access::TenantScope;
use slipway_domain::catalog::download_urls::DownloadUrls;
use slipway_domain::catalog::ids::{AppId, ReleaseId};
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_resolver::{OfferEncoders, PartSelection};

/// Number of served releases that a reload looks up, to notice that most are gone. If half of a tenant's releases are
/// gone, the chance that none of these is among them is 2^-64.
const SAMPLE: usize = 64;

/// Number of changed apps above which every changed app is read as a whole: SQLite refuses longer conditions.
const MAX_PARTIAL: usize = 500;
/// Number of apps that are read together. SQLite limits the parameters of a statement.
const APPS_AT_ONCE: usize = 500;

/// Reload of a served tenant in one consistent read.
pub(super) struct TenantReload<'a> {
    pub(super) reader: &'a ReadTx,
    pub(super) scope: TenantScope,
    pub(super) served: &'a PublishedTenant,
    pub(super) encoders: &'a OfferEncoders,
    pub(super) download_urls: &'a DownloadUrls,
    pub(super) selection: ReleaseSelection,
}

/// Loss of most rows of a tenant.
pub(super) struct RowLoss {
    pub(super) rows_before: u64,
    pub(super) rows_now: u64,
}

/// Apps of a reloaded tenant.
pub(super) struct ReloadedApps {
    pub(super) apps: Vec<LoadedApp>,
    /// Every release of the sample still exists.
    has_whole_sample: bool,
}

/// App of which some parts are compiled again, with the served state that has the others.
struct PartialReload<'a> {
    served: &'a LoadedApp,
    changes: AppChanges,
    parts: PartSelection,
}

impl TenantReload<'_> {
    /// Returns the current apps of the tenant. Apps whose revision is the served one are not read again. Of the others,
    /// the changed resources are read, or everything if it is not certain what changed.
    pub(super) async fn load_apps(
        &self,
        current: &[(AppId, CatalogRevision)],
    ) -> Result<ReloadedApps, StorageError> {
        let mut apps = Vec::with_capacity(current.len());
        let mut changed_since = Vec::new();
        let mut to_load = BTreeSet::new();
        for (id, revision) in current {
            match self.served.loaded_app(*id) {
                Some(served) if served.revision == *revision => apps.push(served.clone()),
                Some(served) => {
                    changed_since.push((*id, served.revision.clone()));
                    to_load.insert(*id);
                }
                None => {
                    to_load.insert(*id);
                }
            }
        }
        if changed_since.len() > MAX_PARTIAL {
            changed_since.clear();
        }
        let sample = self.sample();
        let mut existing = sample.len() as u64;
        if !changed_since.is_empty() {
            let changes = catalog_states::load_changes(self.reader, self.scope, &changed_since, &sample);
            let (changes, existing_now) = changes.await?;
            existing = existing_now;
            for app in self.compile_changed(changes).await? {
                to_load.remove(&app.id);
                apps.push(app);
            }
        }
        if changed_since.is_empty() && !to_load.is_empty() {
            existing = catalog_states::count_existing_releases(self.reader, self.scope, &sample).await?;
        }
        let to_load: Vec<_> = to_load.into_iter().collect();
        for ids in to_load.chunks(APPS_AT_ONCE) {
            let apps_to_load = AppSelection::Some(self.scope, ids);
            let rows = catalog_states::load_apps(self.reader, apps_to_load, self.selection).await?;
            for rows in rows {
                apps.push(load_app(rows, self.encoders, self.download_urls)?);
            }
        }
        Ok(ReloadedApps {
            apps,
            has_whole_sample: existing == sample.len() as u64,
        })
    }

    /// Reads the parts that the changed resources belong to, and compiles them.
    async fn compile_changed(&self, changes: Vec<AppChanges>) -> Result<Vec<LoadedApp>, StorageError> {
        let reloads = changes.into_iter().filter_map(|changes| {
            let served = self.served.loaded_app(changes.app.id)?;
            let parts = served.app.parts_of(&changes.resources);
            Some(PartialReload {
                served,
                changes,
                parts,
            })
        });
        let (kept, partial): (Vec<_>, Vec<_>) = reloads.partition(|reload| reload.parts.is_empty());
        let mut apps: Vec<_> = kept.into_iter().map(PartialReload::keep).collect();
        if partial.is_empty() {
            return Ok(apps);
        }
        let wanted: Vec<_> = partial.iter().map(PartialReload::wanted).collect();
        let rows = catalog_states::load_resources(self.reader, self.scope, &wanted, self.selection).await?;
        for (reload, rows) in partial.into_iter().zip(rows) {
            apps.push(reload.compile(rows, self.encoders, self.download_urls)?);
        }
        Ok(apps)
    }

    /// Returns random releases of the served tenant, each once.
    fn sample(&self) -> Vec<ReleaseId> {
        let count = self.served.release_count();
        let mut indexes: Vec<_> = if count <= SAMPLE {
            (0..count).collect()
        } else {
            let numbers = (0..SAMPLE).map(|_| random::uuid().as_u64_pair().0 % count as u64);
            numbers
                .filter_map(|number| usize::try_from(number).ok())
                .collect()
        };
        indexes.sort_unstable();
        indexes.dedup();
        let mut sample = Vec::with_capacity(indexes.len());
        let mut indexes = indexes.into_iter().peekable();
        let mut first = 0;
        for app in self.served.loaded_apps().map(|loaded| &loaded.app) {
            let end = first + app.release_count();
            while let Some(index) = indexes.next_if(|index| *index < end) {
                sample.extend(app.release_id_at(index - first));
            }
            first = end;
        }
        sample
    }

    /// Returns the loss if most of the tenant's rows vanished within one history of the database and without an audited
    /// deletion. Such a loss is a mistake rather than a change, and must not be served.
    ///
    /// The rows are counted only if an app or a release of the sample is gone.
    pub(super) async fn find_loss(&self, loaded: &ReloadedApps) -> Result<Option<RowLoss>, StorageError> {
        let now: HashSet<_> = loaded.apps.iter().map(|app| app.id).collect();
        let gone: Vec<_> = self
            .served
            .loaded_apps()
            .filter(|before| !now.contains(&before.id))
            .map(|before| before.app.package_name.as_str().to_owned())
            .collect();
        if gone.is_empty() && loaded.has_whole_sample {
            return Ok(None);
        }
        // Releases that are no longer effective still exist.
        let served_releases: Vec<_> = self
            .served
            .loaded_apps()
            .flat_map(|before| before.app.release_ids())
            .collect();
        let existing =
            catalog_states::count_existing_releases(self.reader, self.scope, &served_releases).await?;
        let rows_before = self.served.row_count();
        let rows_now = loaded.apps.len() as u64 + existing;
        if rows_now >= rows_before.div_ceil(2) {
            return Ok(None);
        }
        let audited = catalog_states::count_audited_deletions(self.reader, self.scope, &gone).await?;
        let is_suspicious = gone.is_empty() || audited < gone.len() as u64;
        Ok(is_suspicious.then_some(RowLoss {
            rows_before,
            rows_now,
        }))
    }
}

impl PartialReload<'_> {
    /// Returns the resources to read: those of the affected parts, and new ones.
    fn wanted(&self) -> (AppId, Vec<String>) {
        let of_parts = self.served.app.identifiers_in(&self.parts).map(str::to_owned);
        let changed = self.changes.resources.iter();
        let changed = changed.map(|identifier| identifier.as_str().to_owned());
        let all: BTreeSet<_> = of_parts.chain(changed).collect();
        (self.changes.app.id, all.into_iter().collect())
    }

    /// Returns the served app with its new revision.
    fn keep(self) -> LoadedApp {
        LoadedApp {
            id: self.changes.app.id,
            revision: self.changes.revision,
            app: self.served.app.clone(),
        }
    }

    fn compile(
        self,
        rows: ResourceRows,
        encoders: &OfferEncoders,
        download_urls: &DownloadUrls,
    ) -> Result<LoadedApp, StorageError> {
        let AppChanges { app, revision, .. } = self.changes;
        let ResourceRows {
            resources,
            mut releases,
            pins,
        } = rows;
        for release in &mut releases {
            release.set_offer_addresses(download_urls);
        }
        let rows = (resources, releases, pins);
        let compiled = self
            .served
            .app
            .with_compiled_parts(&app, &self.parts, rows, encoders);
        Ok(LoadedApp {
            id: app.id,
            revision,
            app: Arc::new(compiled.map_err(|error| cannot_be_compiled(app.id, &error))?),
        })
    }
}
