//! Loads tenants from the database: each group in one consistent read, and only what differs from the cache.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::CatalogCache;
use super::published::{LiveAppKey, LoadedApp, PublishedTenant, TenantParts};
use crate::secrets::{Keyring, SealedSecret};
use crate::storage::catalog_states::{self, AppRows, TenantRows};
use crate::storage::credentials::app_keys::SealedSecrets;
use crate::storage::releases::ReleaseSelection;
use crate::storage::{AppSelection, Db, ReadTx, StorageError};
use crate::supervision::contain_panic;
use slipway_domain::access::{AppKey, TenantScope};
use slipway_domain::catalog::download_urls::DownloadUrls;
use slipway_domain::catalog::ids::{AppId, ReleaseId, TenantId};
use slipway_domain::catalog::org::OrgDirectory;
use slipway_resolver::{OfferEncoders, PublishedApp};

/// Number of tenants in a group, which is read in one transaction.
const GROUP: usize = 64;
/// Number of groups loaded concurrently: while one is compiled, the database works on the next.
const GROUPS_AT_ONCE: usize = 3;

/// Result of loading a tenant.
pub(super) enum LoadResult {
    Tenant(Box<PublishedTenant>),
    /// The tenant does not exist.
    Absent,
    /// The rows cannot be read.
    Unreadable(StorageError),
    /// The program panicked on the rows.
    Panicked(String),
    /// Most rows are gone without an audited deletion.
    Suspicious {
        rows_before: u64,
        rows_now: u64,
    },
}

/// Queue of tenant groups that are not loaded yet.
#[derive(Clone)]
struct Groups(Arc<Mutex<Vec<Vec<TenantId>>>>);

impl Groups {
    fn of(tenants: &[TenantId]) -> Self {
        let groups = tenants.chunks(GROUP).rev().map(<[_]>::to_vec).collect();
        Self(Arc::new(Mutex::new(groups)))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<TenantId>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn len(&self) -> usize {
        self.lock().len()
    }

    fn next(&self) -> Option<Vec<TenantId>> {
        self.lock().pop()
    }

    fn give_back(&self, group: Vec<TenantId>) {
        self.lock().push(group);
    }
}

#[derive(Clone)]
pub(super) struct Loader {
    pub(super) live: Arc<CatalogCache>,
    pub(super) keyring: Arc<Keyring>,
    /// The database still has the history that was synced. Only then can a loss of rows be suspicious.
    pub(super) has_same_history: bool,
    pub(super) encoders: OfferEncoders,
    pub(super) download_urls: DownloadUrls,
}

impl Loader {
    /// Loads these tenants and passes each result to `on_loaded` as soon as its group is loaded.
    ///
    /// The dedicated connection of the catalog sync is sufficient. Helper tasks load groups as well while the pool has
    /// connections for them.
    pub(super) async fn load(
        &self,
        (own, pool): (&Db, &Db),
        tenants: &[TenantId],
        mut on_loaded: impl FnMut(TenantId, LoadResult),
    ) -> Result<(), StorageError> {
        let groups = Groups::of(tenants);
        let (sender, mut loaded) = mpsc::channel(GROUPS_AT_ONCE);
        let mut helpers = JoinSet::new();
        for _ in 1..groups.len().min(GROUPS_AT_ONCE) {
            // Separate tasks, so that groups are compiled on all cores.
            helpers.spawn(
                self.clone()
                    .load_groups_as_helper(pool.clone(), groups.clone(), sender.clone()),
            );
        }
        let mut all = JoinSet::new();
        all.spawn(
            self.clone()
                .load_remaining_groups(own.clone(), groups, helpers, sender),
        );
        while let Some(group) = loaded.recv().await {
            for (tenant, loaded) in group {
                on_loaded(tenant, loaded);
            }
        }
        while let Some(done) = all.join_next().await {
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        }
        Ok(())
    }

    /// Loads groups until none is left, including those that helpers return.
    async fn load_remaining_groups(
        self,
        db: Db,
        groups: Groups,
        mut helpers: JoinSet<()>,
        loaded: mpsc::Sender<Vec<(TenantId, LoadResult)>>,
    ) -> Result<(), StorageError> {
        loop {
            while let Some(group) = groups.next() {
                let group = self.load_group(&db, &group).await?;
                if loaded.send(group).await.is_err() {
                    return Ok(());
                }
            }
            match helpers.join_next().await {
                Some(helped) => helped.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())),
                None => return Ok(()),
            }
        }
    }

    /// Loads groups until none is left or one fails to load.
    async fn load_groups_as_helper(
        self,
        db: Db,
        groups: Groups,
        loaded: mpsc::Sender<Vec<(TenantId, LoadResult)>>,
    ) {
        while let Some(group) = groups.next() {
            let Ok(done) = self.load_group(&db, &group).await else {
                groups.give_back(group);
                return;
            };
            if loaded.send(done).await.is_err() {
                return;
            }
        }
    }

    /// Loads a group. If its rows cannot be read, the tenants are loaded one by one, so that one tenant does not block
    /// the others.
    async fn load_group(
        &self,
        db: &Db,
        group: &[TenantId],
    ) -> Result<Vec<(TenantId, LoadResult)>, StorageError> {
        match contain_panic(self.read_group(db, group)).boxed().await {
            Ok(Err(error @ (StorageError::CorruptRow { .. } | StorageError::Other(_))))
                if group.len() == 1 =>
            {
                Ok(vec![(group[0], LoadResult::Unreadable(error))])
            }
            Err(panic) if group.len() == 1 => Ok(vec![(group[0], LoadResult::Panicked(panic))]),
            Ok(Err(StorageError::CorruptRow { .. } | StorageError::Other(_))) | Err(_) => {
                let mut loaded = Vec::with_capacity(group.len());
                for tenant in group {
                    loaded.extend(Box::pin(self.load_group(db, &[*tenant])).await?);
                }
                Ok(loaded)
            }
            Ok(other) => other,
        }
    }

    async fn read_group(
        &self,
        db: &Db,
        group: &[TenantId],
    ) -> Result<Vec<(TenantId, LoadResult)>, StorageError> {
        let reader = db.begin_read().await?;
        let scopes: Vec<_> = group.iter().copied().map(TenantScope::internal).collect();
        let rows = catalog_states::load_tenants(&reader, &scopes).await?;
        let mut absent: HashSet<_> = group.iter().copied().collect();
        let mut new_apps = self.load_apps_of_new_tenants(&reader, &rows).await?;
        let mut loaded = Vec::with_capacity(group.len());
        for row in rows {
            let tenant = row.tenant.id;
            absent.remove(&tenant);
            let apps = new_apps.remove(&tenant);
            loaded.push((tenant, self.assemble(&reader, row, apps).await?));
        }
        loaded.extend(absent.into_iter().map(|tenant| (tenant, LoadResult::Absent)));
        Ok(loaded)
    }

    /// Returns the cached catalog of a tenant, if its offers have the addresses of this node. A snapshot may have others.
    fn reusable(&self, tenant: TenantId) -> Option<Arc<PublishedTenant>> {
        let served = self.live.served(tenant)?;
        (served.download_urls == self.download_urls).then_some(served)
    }

    /// Loads all apps of the tenants that are not cached yet, for all of these tenants together.
    async fn load_apps_of_new_tenants(
        &self,
        reader: &ReadTx,
        rows: &[TenantRows],
    ) -> Result<HashMap<TenantId, Vec<LoadedApp>>, StorageError> {
        let scopes: Vec<_> = rows
            .iter()
            .map(|row| row.tenant.id)
            .filter(|tenant| self.reusable(*tenant).is_none())
            .map(TenantScope::internal)
            .collect();
        let mut loaded: HashMap<_, Vec<_>> = HashMap::new();
        if scopes.is_empty() {
            return Ok(loaded);
        }
        let apps = AppSelection::OfTenants(&scopes);
        for rows in catalog_states::load_apps(reader, apps, ReleaseSelection::Effective).await? {
            loaded.entry(rows.tenant).or_default().push(self.load_app(rows)?);
        }
        Ok(loaded)
    }

    async fn assemble(
        &self,
        reader: &ReadTx,
        row: TenantRows,
        new_apps: Option<Vec<LoadedApp>>,
    ) -> Result<LoadResult, StorageError> {
        let scope = TenantScope::internal(row.tenant.id);
        let served = self.live.served(row.tenant.id);
        let apps = match (new_apps, &served) {
            (Some(apps), _) => apps,
            (None, Some(served)) => self.load_changed_apps(reader, scope, served, &row).await?,
            (None, None) => Vec::new(),
        };
        if let Some(served) = &served
            && let Some(suspicion) = self.find_suspicion(reader, scope, served, &apps).await?
        {
            return Ok(suspicion);
        }
        let unchanged = served
            .as_ref()
            .filter(|served| served.directory_etag == row.directory_etag);
        let directory = match unchanged {
            Some(served) => served.directory.clone(),
            None => Arc::new(OrgDirectory::of_nodes(
                &catalog_states::load_directory(reader, scope).await?,
            )),
        };
        let app_keys = row
            .app_keys
            .iter()
            .map(|(key, secrets)| self.open(row.tenant.id, key, secrets))
            .collect();
        Ok(LoadResult::Tenant(Box::new(PublishedTenant::new(TenantParts {
            revision: row.revision,
            tenant: row.tenant,
            download_urls: self.download_urls.clone(),
            directory_etag: row.directory_etag,
            directory,
            device_keys: row.device_keys.into_iter().collect(),
            app_keys,
            apps,
        }))))
    }

    /// Returns a result if most of a tenant's rows vanished within one history of the database and without an audited
    /// deletion. Such a loss is a mistake rather than a change, and must not be served.
    async fn find_suspicion(
        &self,
        reader: &ReadTx,
        scope: TenantScope,
        served: &PublishedTenant,
        apps: &[LoadedApp],
    ) -> Result<Option<LoadResult>, StorageError> {
        if !self.has_same_history {
            return Ok(None);
        }
        let now: HashMap<_, _> = apps.iter().map(|loaded| (loaded.id, &loaded.app)).collect();
        let gone: Vec<_> = served
            .loaded_apps()
            .filter(|before| !now.contains_key(&before.id))
            .map(|before| before.app.package_name.as_str().to_owned())
            .collect();
        // A release that is no longer effective still exists.
        let missing = find_missing(served, &now);
        let count_existing =
            async |ids: &[ReleaseId]| catalog_states::count_existing_releases(reader, scope, ids).await;
        if gone.is_empty() && count_existing(&missing).await? == missing.len() as u64 {
            return Ok(None);
        }
        // Apps that did not change are not read again, so their releases are counted too.
        let served_releases: Vec<_> = served
            .loaded_apps()
            .flat_map(|before| before.app.release_ids())
            .collect();
        let rows_before = served.row_count();
        let rows_now = apps.len() as u64 + count_existing(&served_releases).await?;
        if rows_now >= rows_before.div_ceil(2) {
            return Ok(None);
        }
        let audited = catalog_states::count_audited_deletions(reader, scope, &gone).await?;
        let is_suspicious = gone.is_empty() || audited < gone.len() as u64;
        Ok(is_suspicious.then_some(LoadResult::Suspicious {
            rows_before,
            rows_now,
        }))
    }

    /// Returns the current apps of a tenant. Apps whose revision is the cached one are not read again.
    async fn load_changed_apps(
        &self,
        reader: &ReadTx,
        scope: TenantScope,
        served: &PublishedTenant,
        row: &TenantRows,
    ) -> Result<Vec<LoadedApp>, StorageError> {
        let mut apps = Vec::with_capacity(row.apps.len());
        let mut changed: Vec<AppId> = Vec::new();
        for (id, revision) in &row.apps {
            match served
                .loaded_app(*id)
                .filter(|loaded| loaded.revision == *revision)
            {
                Some(unchanged) => apps.push(unchanged.clone()),
                None => changed.push(*id),
            }
        }
        if !changed.is_empty() {
            let selection = AppSelection::Some(scope, &changed);
            let rows = catalog_states::load_apps(reader, selection, ReleaseSelection::Effective).await?;
            for rows in rows {
                apps.push(self.load_app(rows)?);
            }
        }
        Ok(apps)
    }

    fn load_app(&self, mut rows: AppRows) -> Result<LoadedApp, StorageError> {
        for release in &mut rows.releases {
            release.set_offer_addresses(&self.download_urls);
        }
        Ok(LoadedApp {
            id: rows.app.id,
            revision: rows.revision.clone(),
            app: Arc::new(compile_app(rows, &self.encoders)?),
        })
    }

    fn open(&self, tenant: TenantId, key: &AppKey, secrets: &SealedSecrets) -> (String, Arc<LiveAppKey>) {
        let sealed = std::iter::once(&secrets.current)
            .chain(&secrets.previous)
            .map(|secret| SealedSecret {
                key_id: secret.sealing_key_id.clone(),
                sealed: secret.text.clone(),
            })
            .collect();
        let live = LiveAppKey::open(
            &self.keyring,
            tenant,
            (key.id, key.role, key.facts.expires_at),
            sealed,
        );
        (key.app_key.clone(), live.into())
    }
}

/// Returns the served releases of changed apps that were not loaded again.
fn find_missing(served: &PublishedTenant, now: &HashMap<AppId, &Arc<PublishedApp>>) -> Vec<ReleaseId> {
    let mut missing = Vec::new();
    for before in served.loaded_apps() {
        match now.get(&before.id) {
            Some(app) if Arc::ptr_eq(app, &before.app) => {}
            Some(app) => {
                let loaded: HashSet<_> = app.release_ids().collect();
                missing.extend(before.app.release_ids().filter(|id| !loaded.contains(id)));
            }
            None => missing.extend(before.app.release_ids()),
        }
    }
    missing
}

/// Compiles the rows of an app. Releases from artifacts must have their addresses. Rows that cannot be compiled are reported like unreadable ones.
pub fn compile_app(rows: AppRows, encoders: &OfferEncoders) -> Result<PublishedApp, StorageError> {
    let app = &rows.app;
    PublishedApp::compile(app, rows.resources, rows.releases, rows.pins, encoders).map_err(|error| {
        StorageError::CorruptRow {
            table: "apps",
            column: "releases",
            id: app.id.to_string(),
            reason: error.to_string(),
        }
    })
}
