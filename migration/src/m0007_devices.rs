//! Change feed of devices, and the app id of each install.
//!
//! The feed tells nodes which devices another writer changed. The app id separates installs of a deleted app from those
//! of a new app with the same name.
//!
//! Triggers announce every write to a device's row by any client, except writes of the recorder. The recorder marks its
//! transaction (a local setting on PostgreSQL, a row on SQLite) and announces a whole batch in one row.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub(crate) struct DeviceChanges;

impl MigrationName for DeviceChanges {
    fn name(&self) -> &'static str {
        "m0007_devices"
    }
}

#[async_trait::async_trait]
#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait only matches the trait's signature when it is written as there"
)]
impl MigrationTrait for DeviceChanges {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = match manager.get_database_backend() {
            DbBackend::Postgres => POSTGRES_UP,
            _ => SQLITE_UP,
        };
        run(manager, COMMON_UP).await?;
        run(manager, statements).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = match manager.get_database_backend() {
            DbBackend::Postgres => POSTGRES_DOWN,
            _ => SQLITE_DOWN,
        };
        run(manager, statements).await?;
        run(manager, COMMON_DOWN).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}

/// An install belongs to an app, not to a name that another app may have later.
///
/// There is no foreign key: installs of a deleted app are removed in batches, as `deleted_apps` requests.
const COMMON_UP: &[&str] = &[
    "ALTER TABLE device_installs ADD COLUMN app_id UUID",
    "UPDATE device_installs SET app_id = (SELECT id FROM apps WHERE apps.tenant_id = device_installs.tenant_id \
     AND apps.package_name = device_installs.package_name)",
    "CREATE TABLE deleted_apps (tenant_id BIGINT NOT NULL, app_id UUID NOT NULL, package_name TEXT NOT NULL, \
     deleted_at TIMESTAMP WITH TIME ZONE NOT NULL, PRIMARY KEY (tenant_id, app_id))",
];

const COMMON_DOWN: &[&str] = &[
    "DROP TABLE deleted_apps",
    "ALTER TABLE device_installs DROP COLUMN app_id",
];

/// `xid` is the id of the transaction, because ids of rows are not in the order of commits.
const POSTGRES_UP: &[&str] = &[
    "CREATE TABLE device_changes (id BIGSERIAL PRIMARY KEY, stamp TEXT NOT NULL DEFAULT gen_random_uuid()::text, \
     xid BIGINT NOT NULL DEFAULT pg_current_xact_id()::text::bigint, writer TEXT, tenant_id BIGINT, device_id TEXT, \
     devices TEXT)",
    "CREATE INDEX device_changes_xid_idx ON device_changes (xid)",
    "CREATE FUNCTION slipway_announce_device() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
     IF current_setting('slipway.recording', true) = 'on' THEN RETURN NULL; END IF; \
     IF TG_OP = 'TRUNCATE' THEN INSERT INTO device_changes DEFAULT VALUES; RETURN NULL; END IF; \
     IF TG_OP <> 'INSERT' THEN INSERT INTO device_changes (tenant_id, device_id) VALUES (OLD.tenant_id, OLD.device_id); \
     END IF; \
     IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND (NEW.tenant_id, NEW.device_id) <> (OLD.tenant_id, OLD.device_id)) THEN \
     INSERT INTO device_changes (tenant_id, device_id) VALUES (NEW.tenant_id, NEW.device_id); END IF; \
     RETURN NULL; END $$",
    "CREATE TRIGGER devices_announce AFTER INSERT OR DELETE OR UPDATE OF tenant_id, device_id, device_type, org_info, \
     first_seen_at, last_seen_at ON devices FOR EACH ROW EXECUTE FUNCTION slipway_announce_device()",
    "CREATE TRIGGER devices_announce_truncate AFTER TRUNCATE ON devices EXECUTE FUNCTION slipway_announce_device()",
    "CREATE TRIGGER device_installs_announce AFTER INSERT OR DELETE OR UPDATE ON device_installs FOR EACH ROW EXECUTE \
     FUNCTION slipway_announce_device()",
    "CREATE TRIGGER device_installs_announce_truncate AFTER TRUNCATE ON device_installs EXECUTE FUNCTION \
     slipway_announce_device()",
    "ALTER TABLE devices ENABLE ALWAYS TRIGGER devices_announce",
    "ALTER TABLE devices ENABLE ALWAYS TRIGGER devices_announce_truncate",
    "ALTER TABLE device_installs ENABLE ALWAYS TRIGGER device_installs_announce",
    "ALTER TABLE device_installs ENABLE ALWAYS TRIGGER device_installs_announce_truncate",
];

const POSTGRES_DOWN: &[&str] = &[
    "DROP TRIGGER devices_announce ON devices",
    "DROP TRIGGER devices_announce_truncate ON devices",
    "DROP TRIGGER device_installs_announce ON device_installs",
    "DROP TRIGGER device_installs_announce_truncate ON device_installs",
    "DROP FUNCTION slipway_announce_device()",
    "DROP TABLE device_changes",
];

const SQLITE_UP: &[&str] = &[
    "CREATE TABLE device_changes (id INTEGER PRIMARY KEY AUTOINCREMENT, stamp TEXT NOT NULL DEFAULT \
     (lower(hex(randomblob(16)))), xid BIGINT NOT NULL DEFAULT 0, writer TEXT, tenant_id BIGINT, device_id TEXT, \
     devices TEXT)",
    "CREATE TABLE device_recording (is_on INTEGER NOT NULL)",
    "INSERT INTO device_recording (is_on) VALUES (0)",
    "CREATE TRIGGER devices_announce_insert AFTER INSERT ON devices WHEN (SELECT is_on FROM device_recording) = 0 BEGIN \
     INSERT INTO device_changes (tenant_id, device_id) VALUES (NEW.tenant_id, NEW.device_id); END",
    "CREATE TRIGGER devices_announce_delete AFTER DELETE ON devices WHEN (SELECT is_on FROM device_recording) = 0 BEGIN \
     INSERT INTO device_changes (tenant_id, device_id) VALUES (OLD.tenant_id, OLD.device_id); END",
    "CREATE TRIGGER devices_announce_update AFTER UPDATE OF tenant_id, device_id, device_type, org_info, first_seen_at, \
     last_seen_at ON devices WHEN (SELECT is_on FROM device_recording) = 0 BEGIN \
     INSERT INTO device_changes (tenant_id, device_id) VALUES (OLD.tenant_id, OLD.device_id), (NEW.tenant_id, \
     NEW.device_id); END",
    "CREATE TRIGGER device_installs_announce_insert AFTER INSERT ON device_installs WHEN (SELECT is_on FROM \
     device_recording) = 0 BEGIN \
     INSERT INTO device_changes (tenant_id, device_id) VALUES (NEW.tenant_id, NEW.device_id); END",
    "CREATE TRIGGER device_installs_announce_delete AFTER DELETE ON device_installs WHEN (SELECT is_on FROM \
     device_recording) = 0 BEGIN \
     INSERT INTO device_changes (tenant_id, device_id) VALUES (OLD.tenant_id, OLD.device_id); END",
    "CREATE TRIGGER device_installs_announce_update AFTER UPDATE ON device_installs WHEN (SELECT is_on FROM \
     device_recording) = 0 BEGIN \
     INSERT INTO device_changes (tenant_id, device_id) VALUES (OLD.tenant_id, OLD.device_id), (NEW.tenant_id, \
     NEW.device_id); END",
];

const SQLITE_DOWN: &[&str] = &[
    "DROP TRIGGER devices_announce_insert",
    "DROP TRIGGER devices_announce_delete",
    "DROP TRIGGER devices_announce_update",
    "DROP TRIGGER device_installs_announce_insert",
    "DROP TRIGGER device_installs_announce_delete",
    "DROP TRIGGER device_installs_announce_update",
    "DROP TABLE device_recording",
    "DROP TABLE device_changes",
];
