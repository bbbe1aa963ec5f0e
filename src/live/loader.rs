//! Loads tenants from the database: each group in one consistent read, and only what differs from the cache.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::CatalogCache;
use super::compile::load_app;
use super::published::{LiveAppKey, LoadedApp, PublishedTenant, TenantParts};
use super::reload::{RowLoss, TenantReload};
use crate::secrets::{Keyring, SealedSecret};
use crate::storage::artifacts;
use crate::storage::catalog_states::{self, TenantRows};
use crate::storage::credentials::app_keys::SealedSecrets;
use crate::storage::releases::ReleaseSelection;
use crate::storage::{AppSelection, Db, ReadTx, StorageError};
use crate::supervision::contain_panic;
use slipway_domain::access::{AppKey, TenantScope};
use slipway_domain::catalog::download_urls::DownloadUrls;
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::org::OrgDirectory;
use slipway_resolver::OfferEncoders;

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
    Suspicious(RowLoss),
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
        own: &Db,
        pool: &Db,
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
        let selection = self.selection(&reader).await?;
        let mut new_apps = self.load_apps_of_new_tenants(&reader, &rows, selection).await?;
        let mut loaded = Vec::with_capacity(group.len());
        for row in rows {
            let tenant = row.tenant.id;
            absent.remove(&tenant);
            let apps = new_apps.remove(&tenant);
            loaded.push((tenant, self.assemble(&reader, row, apps, selection).await?));
        }
        loaded.extend(absent.into_iter().map(|tenant| (tenant, LoadResult::Absent)));
        Ok(loaded)
    }

    /// Returns the releases to load. A node without addresses for artifacts offers none of their releases, so that it needs
    /// those that they supersede.
    async fn selection(&self, reader: &ReadTx) -> Result<ReleaseSelection, StorageError> {
        if self.download_urls.has_base() || !artifacts::any_exist(reader).await? {
            return Ok(ReleaseSelection::Effective);
        }
        Ok(ReleaseSelection::WithSuperseded)
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
        selection: ReleaseSelection,
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
        for rows in catalog_states::load_apps(reader, apps, selection).await? {
            loaded
                .entry(rows.tenant)
                .or_default()
                .push(load_app(rows, &self.encoders, &self.download_urls)?);
        }
        Ok(loaded)
    }

    async fn assemble(
        &self,
        reader: &ReadTx,
        row: TenantRows,
        new_apps: Option<Vec<LoadedApp>>,
        selection: ReleaseSelection,
    ) -> Result<LoadResult, StorageError> {
        let scope = TenantScope::internal(row.tenant.id);
        let served = self.live.served(row.tenant.id);
        let apps = match (new_apps, &served) {
            (Some(apps), _) => apps,
            (None, Some(served)) => {
                let reload = TenantReload {
                    reader,
                    scope,
                    served,
                    encoders: &self.encoders,
                    download_urls: &self.download_urls,
                    selection,
                };
                let loaded = reload.load_apps(&row.apps).await?;
                if self.has_same_history
                    && let Some(loss) = reload.find_loss(&loaded).await?
                {
                    return Ok(LoadResult::Suspicious(loss));
                }
                loaded.apps
            }
            (None, None) => Vec::new(),
        };
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
            device_keys: row.device_keys,
            app_keys,
            apps,
        }))))
    }

    fn open(&self, tenant: TenantId, key: &AppKey, secrets: &SealedSecrets) -> LiveAppKey {
        let sealed = std::iter::once(&secrets.current)
            .chain(&secrets.previous)
            .map(|secret| SealedSecret {
                key_id: secret.sealing_key_id.clone(),
                sealed: secret.text.clone(),
            })
            .collect();
        LiveAppKey::open(
            &self.keyring,
            tenant,
            &key.app_key,
            key.id,
            key.role,
            key.facts.expires_at,
            sealed,
        )
    }
}
