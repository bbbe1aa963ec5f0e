//! Shared context of all use cases.

mod caller;
mod parts;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

pub use self::caller::{Caller, Precondition, WriteResult};
pub use self::parts::{Authentication, DeviceAdmission, NodeState, Workload};
use super::ServiceError;
use super::artifact_parts::Artifacts;
use super::check_counts::CheckCounts;
use super::check_path::{CheckIntervals, CheckPath};
use super::device_records::DeviceRecorder;
use super::org_trees::OrgTrees;
use super::push_delivery::PushDelivery;
use super::write_health::WriteFailure;
use crate::clock::Clock;
use crate::live::{CatalogCache, Lookup};
use crate::secrets::Keyring;
use crate::storage::{CatalogTx, Cause, Db, Tx, tenants};
use slipway_domain::access::{Action, Role, TenantScope, User, authorize_tenant};
use slipway_domain::catalog::download_urls::DownloadUrls;
use slipway_domain::catalog::ids::{TenantId, UserId};
use slipway_domain::catalog::instant::in_micros;
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_domain::catalog::versioned::Versioned;

/// Components of a running server. Each use case takes the parts that it needs.
pub struct Context {
    parts: ContextParts,
    checks: CheckPath,
    org_trees: OrgTrees,
}

/// Parts of a [`Context`], for its creation.
pub struct ContextParts {
    pub db: Db,
    pub clock: Arc<dyn Clock>,
    pub keyring: Arc<Keyring>,
    pub catalog: Arc<CatalogCache>,
    pub authentication: Authentication,
    pub artifacts: Artifacts,
    pub device_admission: DeviceAdmission,
    pub device_records: Arc<DeviceRecorder>,
    pub check_intervals: CheckIntervals,
    pub push_delivery: PushDelivery,
    pub workload: Workload,
    pub node: NodeState,
}

impl Context {
    pub fn new(parts: ContextParts) -> Self {
        let checks = CheckPath {
            clock: parts.clock.clone(),
            catalog: parts.catalog.clone(),
            revoked_tokens: parts.device_admission.revoked_tokens.clone(),
            keyring: parts.keyring.clone(),
            pending_pushes: parts.push_delivery.pending(),
            device_records: parts.device_records.clone(),
            key_uses: parts.authentication.key_uses.clone(),
            counts: CheckCounts::new(),
            intervals: parts.check_intervals,
        };
        Self {
            parts,
            checks,
            org_trees: OrgTrees::default(),
        }
    }

    pub fn db(&self) -> &Db {
        &self.parts.db
    }

    pub fn keyring(&self) -> &Keyring {
        &self.parts.keyring
    }

    pub fn catalog(&self) -> &CatalogCache {
        &self.parts.catalog
    }

    pub fn authentication(&self) -> &Authentication {
        &self.parts.authentication
    }

    pub fn artifacts(&self) -> &Artifacts {
        &self.parts.artifacts
    }

    pub fn device_admission(&self) -> &DeviceAdmission {
        &self.parts.device_admission
    }

    pub fn checks(&self) -> &CheckPath {
        &self.checks
    }

    pub(in crate::services) fn org_trees(&self) -> &OrgTrees {
        &self.org_trees
    }

    pub fn device_records(&self) -> &DeviceRecorder {
        &self.parts.device_records
    }

    pub fn push_delivery(&self) -> &PushDelivery {
        &self.parts.push_delivery
    }

    pub fn workload(&self) -> &Workload {
        &self.parts.workload
    }

    pub fn node(&self) -> &NodeState {
        &self.parts.node
    }

    /// Returns the addresses under which artifacts are downloaded.
    pub fn download_urls(&self) -> &DownloadUrls {
        &self.parts.artifacts.settings.download_urls
    }

    /// Returns the current time in whole microseconds, the precision of both databases and the API.
    pub fn now(&self) -> DateTime<Utc> {
        in_micros(self.parts.clock.now())
    }

    /// Returns `true` if the database answers within a second.
    pub async fn database_answers(&self) -> bool {
        let answer = tokio::time::timeout(Duration::from_secs(1), self.db().ping()).await;
        matches!(answer, Ok(Ok(())))
    }

    /// Returns the reason that writes fail, or `None` while they work.
    pub fn write_failure(&self, database_answers: bool) -> Option<WriteFailure> {
        let is_away = || (!database_answers).then(|| WriteFailure::from_cause(Cause::Away));
        self.node().write_health.failure().or_else(is_away)
    }

    /// Authorizes a caller for an action in a tenant. Fails if the tenant does not exist.
    pub(in crate::services) async fn authorize(
        &self,
        caller: &Caller,
        tenant: TenantId,
        action: Action,
    ) -> Result<TenantScope, ServiceError> {
        let scope = authorize_tenant(&caller.principal, tenant, action)?;
        // The tenant exists if the caller is one of its own users or tokens, or if it is served: tenants are never
        // deleted.
        if caller.principal.role == Role::PlatformAdmin
            && !matches!(self.catalog().tenant(tenant), Lookup::Found(_))
            && tenants::find(&self.db_for(caller), tenant).await?.is_none()
        {
            return Err(ServiceError::NotFound("tenant"));
        }
        Ok(scope)
    }

    /// Returns the database for the caller's statements. Urgent callers use connections of their own and go first.
    pub(in crate::services) fn db_for(&self, caller: &Caller) -> Db {
        if caller.is_urgent {
            self.db().urgent()
        } else {
            self.db().clone()
        }
    }

    /// Begins a write with the caller's authority.
    pub(in crate::services) async fn begin(&self, caller: &Caller) -> Result<Tx, ServiceError> {
        Ok(self.db_for(caller).begin_as(caller.authority()).await?)
    }

    /// Begins a write that may revoke or change the credential of the caller or of the user `other`.
    pub(in crate::services) async fn begin_on_credentials(
        &self,
        caller: &Caller,
        other: Option<UserId>,
    ) -> Result<Tx, ServiceError> {
        self.authentication().remembered_sessions.clear();
        let db = self.db_for(caller);
        Ok(db.begin_on_credentials(caller.authority(), other).await?)
    }

    /// Begins a write that may remove or disable any platform administrator. Returns all administrators.
    pub(in crate::services) async fn begin_on_administrators(
        &self,
        caller: &Caller,
    ) -> Result<(Tx, Vec<Versioned<User>>), ServiceError> {
        self.authentication().remembered_sessions.clear();
        Ok(self
            .db_for(caller)
            .begin_on_administrators(caller.authority())
            .await?)
    }

    /// Begins a catalog write with the caller's authority.
    pub(in crate::services) async fn begin_catalog(
        &self,
        caller: &Caller,
        scope: TenantScope,
    ) -> Result<CatalogTx, ServiceError> {
        let db = self.db_for(caller);
        Ok(db.begin_catalog_as(scope, caller.authority()).await?)
    }

    /// Commits a catalog write and waits until this node serves it.
    pub(in crate::services) async fn commit(&self, tx: CatalogTx) -> Result<CatalogRevision, ServiceError> {
        let tenant = tx.scope().tenant();
        let revision = tx.commit().await?;
        self.catalog().catch_up(tenant).await;
        Ok(revision)
    }

    /// Ends a write that changes nothing.
    ///
    /// Another node may have committed the same change a moment ago, so this also waits until this node serves it.
    pub(in crate::services) async fn unchanged<T>(&self, tx: CatalogTx, value: T) -> WriteResult<T> {
        let tenant = tx.scope().tenant();
        drop(tx);
        self.catalog().catch_up(tenant).await;
        let revision = match self.catalog().tenant(tenant) {
            Lookup::Found(served) => Some(served.revision.clone()),
            Lookup::Absent | Lookup::Unknown => None,
        };
        WriteResult { value, revision }
    }
}
