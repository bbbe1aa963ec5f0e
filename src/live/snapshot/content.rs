//! Content of a block: one tenant's catalog as it is served, except that secrets stay encrypted.

use std::io::{self, BufWriter, IntoInnerError, Write};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zstd::zstd_safe::{CCtx, CParameter};

use super::frames::{Block, PackedBlock};
use super::throttle::ThrottledWork;
use super::{MAX_UNPACKED_BYTES, SnapshotError};
use crate::live::PublishedTenant;
use crate::live::published::{LiveAppKey, LoadedApp, TenantParts};
use crate::secrets::{Keyring, SealedSecret};
use crate::storage::credentials::device_keys::DeviceKeyHash;
use slipway_domain::access::AppKeyRole;
use slipway_domain::catalog::download_urls::DownloadUrls;
use slipway_domain::catalog::ids::{AppId, KeyId, TenantId};
use slipway_domain::catalog::org::OrgDirectory;
use slipway_domain::catalog::revision::CatalogRevision;
use slipway_domain::catalog::tenant::Tenant;
use slipway_resolver::PublishedApp;

/// Fastest level, because snapshots are written alongside the node's other work. It already halves the size.
const COMPRESSION_LEVEL: i32 = 1;
/// Number of bytes compressed at a time.
const PIECE_BYTES: usize = 64 << 10;

/// Serialized form of a tenant; [`TenantRecord`] has the same fields in the same order.
#[derive(Serialize)]
struct TenantRecordRef<'a> {
    revision: &'a CatalogRevision,
    tenant: &'a Tenant,
    download_urls: &'a DownloadUrls,
    directory_etag: Option<&'a str>,
    directory: &'a OrgDirectory,
    device_keys: &'a [(KeyId, DeviceKeyHash)],
    app_keys: Vec<AppKeyRecordRef<'a>>,
    apps: Vec<(AppId, &'a CatalogRevision, &'a PublishedApp)>,
}

#[derive(Serialize)]
pub(super) struct AppKeyRecordRef<'a> {
    app_key: &'a str,
    id: KeyId,
    role: AppKeyRole,
    expires_at: Option<DateTime<Utc>>,
    sealed: &'a [SealedSecret],
}

#[derive(Deserialize)]
struct TenantRecord {
    revision: CatalogRevision,
    tenant: Tenant,
    download_urls: DownloadUrls,
    directory_etag: Option<String>,
    directory: OrgDirectory,
    device_keys: Vec<(KeyId, DeviceKeyHash)>,
    app_keys: Vec<AppKeyRecord>,
    apps: Vec<(AppId, CatalogRevision, PublishedApp)>,
}

#[derive(Deserialize)]
pub(super) struct AppKeyRecord {
    app_key: String,
    id: KeyId,
    role: AppKeyRole,
    expires_at: Option<DateTime<Utc>>,
    sealed: Vec<SealedSecret>,
}

/// Serializer and compressor of tenants.
pub(super) struct Packer<'p> {
    /// Reused for all tenants, because creating it takes as long as packing a small tenant.
    context: CCtx<'static>,
    throttle: ThrottledWork<'p>,
}

impl<'p> Packer<'p> {
    pub(super) fn new(throttle: ThrottledWork<'p>) -> Self {
        let mut context = CCtx::create();
        context
            .set_parameter(CParameter::CompressionLevel(COMPRESSION_LEVEL))
            .expect("zstd supports this level");
        Self { context, throttle }
    }

    /// Packs the catalog of a tenant; `None` stands for a tenant whose rows cannot be read.
    pub(super) fn pack(
        &mut self,
        id: TenantId,
        published: Option<&PublishedTenant>,
    ) -> Result<PackedBlock, SnapshotError> {
        self.pack_value(id, &published.map(TenantRecordRef::of))
    }

    /// Packs any serializable value of a tenant.
    pub(super) fn pack_value(
        &mut self,
        id: TenantId,
        value: &impl Serialize,
    ) -> Result<PackedBlock, SnapshotError> {
        let counting = CountingWriter {
            inner: zstd::Encoder::with_context(Vec::new(), &mut self.context),
            count: 0,
            throttle: &mut self.throttle,
        };
        // Only writing can fail, and the writer is in memory.
        let pieces = BufWriter::with_capacity(PIECE_BYTES, counting);
        let pieces = postcard::to_io(value, pieces).map_err(io::Error::other)?;
        let written = pieces.into_inner().map_err(IntoInnerError::into_error)?;
        if written.count > MAX_UNPACKED_BYTES {
            return Err(SnapshotError::TooLarge(id));
        }
        Ok(PackedBlock {
            unpacked: written.count,
            bytes: written.inner.finish()?,
        })
    }

    /// Pauses if necessary. Must be called between tenants.
    pub(super) fn checkpoint(&mut self) {
        self.throttle.checkpoint();
    }
}

/// Unpacks the tenant of a verified block.
pub(super) fn unpack(block: &Block<'_>, keyring: &Keyring) -> Result<Option<PublishedTenant>, SnapshotError> {
    let read: Option<TenantRecord> = unpack_value(block)?;
    if read.as_ref().is_some_and(|read| read.tenant.id != block.tenant) {
        return Err(content_error(block, "it belongs to another tenant"));
    }
    Ok(read.map(|read| read.publish(keyring)))
}

/// Unpacks a value packed by [`Packer::pack_value`].
pub(super) fn unpack_value<T: DeserializeOwned>(block: &Block<'_>) -> Result<T, SnapshotError> {
    let bytes =
        zstd::bulk::decompress(block.bytes, block.unpacked).map_err(|why| content_error(block, why))?;
    let (value, rest) = postcard::take_from_bytes(&bytes).map_err(|why| content_error(block, why))?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(content_error(block, "it has trailing bytes"))
    }
}

pub(super) fn content_error(block: &Block<'_>, reason: impl ToString) -> SnapshotError {
    SnapshotError::Contents {
        tenant: block.tenant,
        reason: reason.to_string(),
    }
}

impl<'a> TenantRecordRef<'a> {
    fn of(published: &'a PublishedTenant) -> Self {
        let apps = published
            .loaded_apps()
            .map(|loaded| (loaded.id, &loaded.revision, &*loaded.app));
        Self {
            revision: &published.revision,
            tenant: &published.tenant,
            download_urls: &published.download_urls,
            directory_etag: published.directory_etag.as_deref(),
            directory: &published.directory,
            device_keys: &published.device_keys,
            app_keys: AppKeyRecordRef::all_of(published).collect(),
            apps: apps.collect(),
        }
    }
}

impl<'a> AppKeyRecordRef<'a> {
    pub(super) fn all_of(published: &'a PublishedTenant) -> impl Iterator<Item = Self> {
        published.app_keys.iter().map(|live| Self {
            app_key: live.app_key(),
            id: live.id,
            role: live.role,
            expires_at: live.expires_at,
            sealed: &live.sealed,
        })
    }
}

impl AppKeyRecord {
    /// Returns the key with its secrets decrypted.
    pub(super) fn open(self, keyring: &Keyring, tenant: TenantId) -> LiveAppKey {
        LiveAppKey::open(
            keyring,
            tenant,
            &self.app_key,
            self.id,
            self.role,
            self.expires_at,
            self.sealed,
        )
    }
}

impl TenantRecord {
    fn publish(self, keyring: &Keyring) -> PublishedTenant {
        let tenant = self.tenant.id;
        let app_keys = self.app_keys.into_iter().map(|key| key.open(keyring, tenant));
        let apps = self.apps.into_iter().map(|(id, revision, app)| LoadedApp {
            id,
            revision,
            app: Arc::new(app),
        });
        PublishedTenant::new(TenantParts {
            revision: self.revision,
            tenant: self.tenant,
            download_urls: self.download_urls,
            directory_etag: self.directory_etag,
            directory: Arc::new(self.directory),
            device_keys: self.device_keys,
            app_keys: app_keys.collect(),
            apps: apps.collect(),
        })
    }
}

/// Writer that counts bytes and pauses between writes.
struct CountingWriter<'a, 'p, W> {
    inner: W,
    count: u64,
    throttle: &'a mut ThrottledWork<'p>,
}

impl<W: Write> Write for CountingWriter<'_, '_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.count += written as u64;
        self.throttle.checkpoint();
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
