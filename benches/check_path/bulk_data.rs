//! Loads a catalog into a database in bulk. Through the API, a million releases would take hours.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Instant;

use anyhow::ensure;
use sha2::{Digest, Sha256};
use slipway::secrets::{Keyring, sealed_for_app_key};
use slipway_domain::catalog::ids::KeyId;

use crate::fleet::{RELEASES_PER_TENANT, SECRET_KEY, Tenant};
use crate::node::PROGRAM;
use crate::postgres::Postgres;

/// Computes the flags of effective releases.
const SUPERSEDED_SQL: &str = include_str!("superseded.sql");

/// A database with a catalog of a known size.
#[derive(Debug, Clone)]
pub(crate) struct Catalog {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) tenants: u32,
}

impl Catalog {
    pub(crate) fn releases(&self) -> u32 {
        self.tenants * RELEASES_PER_TENANT
    }

    /// Creates a database with this number of releases. With 0 it has the schema only.
    pub(crate) fn make(postgres: &Postgres, name: &str, releases: u32) -> anyhow::Result<Self> {
        let began = Instant::now();
        let catalog = Self {
            name: name.to_owned(),
            url: postgres.create_database(name)?,
            tenants: releases / RELEASES_PER_TENANT,
        };
        catalog.migrate()?;
        postgres.execute(name, "CREATE EXTENSION pg_stat_statements")?;
        if catalog.tenants > 0 {
            let rows = include_str!("bulk_data.sql").replace(":tenants", &catalog.tenants.to_string());
            postgres.execute(name, &rows)?;
            postgres.execute(name, &catalog.keys()?)?;
        }
        catalog.set_flags(postgres, SUPERSEDED_SQL)?;
        eprintln!(
            "{name}: {} releases in {:.0} s",
            catalog.releases(),
            began.elapsed().as_secs_f64()
        );
        Ok(catalog)
    }

    /// Lets nodes hold every release, including the superseded ones.
    pub(crate) fn make_all_effective(&self, postgres: &Postgres) -> anyhow::Result<()> {
        self.set_flags(
            postgres,
            "UPDATE releases SET effective = true WHERE NOT effective;",
        )
    }

    /// Reverts [`Catalog::make_all_effective`].
    pub(crate) fn supersede(&self, postgres: &Postgres) -> anyhow::Result<()> {
        self.set_flags(postgres, SUPERSEDED_SQL)
    }

    fn set_flags(&self, postgres: &Postgres, statement: &str) -> anyhow::Result<()> {
        let statements = format!("{statement}\nVACUUM ANALYZE; CHECKPOINT");
        postgres.execute(&self.name, &statements).map(drop)
    }

    fn migrate(&self) -> anyhow::Result<()> {
        let data_dir = tempfile::tempdir()?;
        let status = Command::new(PROGRAM)
            .arg("migrate")
            .env("SLIPWAY_DATABASE_URL", &self.url)
            .env("SLIPWAY_DATA_DIR", data_dir.path())
            .env("SLIPWAY_LOG", "warn")
            .status()?;
        ensure!(status.success(), "slipway migrate failed");
        Ok(())
    }

    /// Returns one gateway key and one device key for each tenant.
    fn keys(&self) -> anyhow::Result<String> {
        let keyring = Keyring::parse(SECRET_KEY)?;
        let mut sql = String::from(
            "COPY app_keys (tenant_id, id, name, role, app_key, secret_sealed, sealing_key_id, etag, created_at) \
             FROM stdin;\n",
        );
        for tenant in (0..self.tenants).map(Tenant) {
            let id = tenant.app_key_id();
            let sealed = keyring.seal(&tenant.app_secret(), &sealed_for_app_key(KeyId::from_uuid(id)))?;
            writeln!(
                sql,
                "{}\t{id}\tdevices\tdevice\t{}\t{}\t{}\t0123456789abcdef\tnow",
                tenant.number(),
                tenant.app_key(),
                sealed.sealed,
                sealed.key_id
            )?;
        }
        sql.push_str(
            "\\.\nCOPY device_keys (tenant_id, id, name, secret_hash, etag, created_at) FROM stdin;\n",
        );
        for tenant in (0..self.tenants).map(Tenant) {
            let hash = hex::encode(Sha256::digest(tenant.device_secret()));
            let id = tenant.device_key_id();
            writeln!(
                sql,
                "{}\t{id}\tdevices\t{hash}\t0123456789abcdef\tnow",
                tenant.number()
            )?;
        }
        sql.push_str("\\.\n");
        Ok(sql)
    }
}
