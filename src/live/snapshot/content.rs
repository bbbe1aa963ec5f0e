//! What a block holds: one tenant's catalog as it is served, except that secrets stay sealed.

use std::collections::HashMap;
use std::io::{self, BufWriter, IntoInnerError, Write};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zstd::zstd_safe::{CCtx, CParameter};

use super::frames::{Block, Packed};
use super::pace::Paced;
use super::{MAX_UNPACKED_BYTES, SnapshotError};
use crate::access::AppKeyRole;
use crate::catalog::ids::{AppId, KeyId, TenantId};
use crate::catalog::org::OrgDirectory;
use crate::catalog::tenant::Tenant;
use crate::live::PublishedTenant;
use crate::live::published::{LiveAppKey, LoadedApp, TenantParts};
use crate::resolve::PublishedApp;
use crate::secrets::{Keyring, SealedSecret};
use crate::storage::CatalogPair;
use crate::storage::device_keys::DeviceKeyHash;

/// A snapshot is written beside the work of a node: the fastest level, which halves the bytes already.
const COMPRESSION_LEVEL: i32 = 1;
/// How much is compressed at a time.
const PIECE_BYTES: usize = 64 << 10;

/// A tenant on its way out; [`Read`] has the same fields in the same order.
#[derive(Serialize)]
struct Written<'a> {
    pair: &'a CatalogPair,
    tenant: &'a Tenant,
    directory_etag: Option<&'a str>,
    directory: &'a OrgDirectory,
    device_keys: &'a HashMap<KeyId, DeviceKeyHash>,
    app_keys: Vec<WrittenAppKey<'a>>,
    apps: Vec<(AppId, &'a CatalogPair, &'a PublishedApp)>,
    row_count: i64,
}

#[derive(Serialize)]
pub(super) struct WrittenAppKey<'a> {
    app_key: &'a str,
    id: KeyId,
    role: AppKeyRole,
    expires_at: Option<DateTime<Utc>>,
    sealed: &'a [SealedSecret],
}

#[derive(Deserialize)]
struct Read {
    pair: CatalogPair,
    tenant: Tenant,
    directory_etag: Option<String>,
    directory: OrgDirectory,
    device_keys: HashMap<KeyId, DeviceKeyHash>,
    app_keys: Vec<ReadAppKey>,
    apps: Vec<(AppId, CatalogPair, PublishedApp)>,
    row_count: i64,
}

#[derive(Deserialize)]
pub(super) struct ReadAppKey {
    app_key: String,
    id: KeyId,
    role: AppKeyRole,
    expires_at: Option<DateTime<Utc>>,
    sealed: Vec<SealedSecret>,
}

/// Packs one tenant after the other.
pub(super) struct Packer<'p> {
    /// Kept from tenant to tenant: making it takes as long as packing a small one.
    context: CCtx<'static>,
    pace: Paced<'p>,
}

impl<'p> Packer<'p> {
    pub(super) fn new(pace: Paced<'p>) -> Self {
        let mut context = CCtx::create();
        context
            .set_parameter(CParameter::CompressionLevel(COMPRESSION_LEVEL))
            .expect("the level is one that zstd has");
        Self { context, pace }
    }

    /// Packs what is served of a tenant; `None` stands for a tenant whose rows cannot be read.
    pub(super) fn pack(
        &mut self,
        id: TenantId,
        published: Option<&PublishedTenant>,
    ) -> Result<Packed, SnapshotError> {
        self.pack_value(id, &published.map(Written::of))
    }

    /// Packs anything of a tenant.
    pub(super) fn pack_value(
        &mut self,
        id: TenantId,
        value: &impl Serialize,
    ) -> Result<Packed, SnapshotError> {
        let counting = Counting {
            inner: zstd::Encoder::with_context(Vec::new(), &mut self.context),
            count: 0,
            pace: &mut self.pace,
        };
        // Only writing can fail, and it writes to memory.
        let pieces = BufWriter::with_capacity(PIECE_BYTES, counting);
        let pieces = postcard::to_io(value, pieces).map_err(io::Error::other)?;
        let written = pieces.into_inner().map_err(IntoInnerError::into_error)?;
        if written.count > MAX_UNPACKED_BYTES {
            return Err(SnapshotError::TooLarge(id));
        }
        Ok(Packed {
            unpacked: written.count,
            bytes: written.inner.finish()?,
        })
    }

    /// To be called between tenants.
    pub(super) fn breathe(&mut self) {
        self.pace.breathe();
    }
}

/// The tenant of a verified block.
pub(super) fn unpack(block: &Block<'_>, keyring: &Keyring) -> Result<Option<PublishedTenant>, SnapshotError> {
    let read: Option<Read> = unpack_value(block)?;
    if read.as_ref().is_some_and(|read| read.tenant.id != block.tenant) {
        return Err(refuse(block, "it is another tenant's"));
    }
    Ok(read.map(|read| read.publish(keyring)))
}

/// What [`Packer::pack_value`] packed.
pub(super) fn unpack_value<T: DeserializeOwned>(block: &Block<'_>) -> Result<T, SnapshotError> {
    let bytes = zstd::bulk::decompress(block.bytes, block.unpacked).map_err(|why| refuse(block, why))?;
    let (value, rest) = postcard::take_from_bytes(&bytes).map_err(|why| refuse(block, why))?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(refuse(block, "it is longer than its parts"))
    }
}

pub(super) fn refuse(block: &Block<'_>, reason: impl ToString) -> SnapshotError {
    SnapshotError::Contents {
        tenant: block.tenant,
        reason: reason.to_string(),
    }
}

impl<'a> Written<'a> {
    fn of(published: &'a PublishedTenant) -> Self {
        let apps = published
            .loaded_apps()
            .map(|loaded| (loaded.id, &loaded.pair, &*loaded.app));
        Self {
            pair: &published.pair,
            tenant: &published.tenant,
            directory_etag: published.directory_etag.as_deref(),
            directory: &published.directory,
            device_keys: &published.device_keys,
            app_keys: WrittenAppKey::all_of(published).collect(),
            apps: apps.collect(),
            row_count: published.row_count,
        }
    }
}

impl<'a> WrittenAppKey<'a> {
    pub(super) fn all_of(published: &'a PublishedTenant) -> impl Iterator<Item = Self> {
        published.app_keys.iter().map(|(app_key, live)| Self {
            app_key,
            id: live.id,
            role: live.role,
            expires_at: live.expires_at,
            sealed: &live.sealed,
        })
    }
}

impl ReadAppKey {
    /// The name of a key, and the key with its secrets opened.
    pub(super) fn open(self, keyring: &Keyring, tenant: TenantId) -> (String, Arc<LiveAppKey>) {
        let live = LiveAppKey::open(
            keyring,
            tenant,
            (self.id, self.role, self.expires_at),
            self.sealed,
        );
        (self.app_key, live.into())
    }
}

impl Read {
    fn publish(self, keyring: &Keyring) -> PublishedTenant {
        let tenant = self.tenant.id;
        let app_keys = self.app_keys.into_iter().map(|key| key.open(keyring, tenant));
        let apps = self.apps.into_iter().map(|(id, pair, app)| LoadedApp {
            id,
            pair,
            app: Arc::new(app),
        });
        PublishedTenant::new(TenantParts {
            pair: self.pair,
            tenant: self.tenant,
            directory_etag: self.directory_etag,
            directory: Arc::new(self.directory),
            device_keys: self.device_keys,
            app_keys: app_keys.collect(),
            apps: apps.collect(),
            row_count: self.row_count,
        })
    }
}

/// Counts what is written through it, and rests in between.
struct Counting<'a, 'p, W> {
    inner: W,
    count: u64,
    pace: &'a mut Paced<'p>,
}

impl<W: Write> Write for Counting<'_, '_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.count += written as u64;
        self.pace.breathe();
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
