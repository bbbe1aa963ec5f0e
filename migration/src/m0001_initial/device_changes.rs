//! Change feed of devices: it tells nodes which devices another writer changed.
//!
//! Triggers announce every write to a device's row by any client, except writes of the recorder. The recorder marks its
//! transaction (a local setting on PostgreSQL, a row on SQLite) and announces a whole batch in one row.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use super::run;

pub(super) async fn create(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let statements = match manager.get_database_backend() {
        DbBackend::Postgres => POSTGRES_CREATE,
        _ => SQLITE_CREATE,
    };
    run(manager, statements).await
}

pub(super) async fn drop(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let statements = match manager.get_database_backend() {
        DbBackend::Postgres => POSTGRES_DROP,
        _ => SQLITE_DROP,
    };
    run(manager, statements).await
}

/// `xid` is the id of the transaction, because ids of rows are not in the order of commits.
const POSTGRES_CREATE: &[&str] = &[
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

const POSTGRES_DROP: &[&str] = &[
    "DROP TRIGGER devices_announce ON devices",
    "DROP TRIGGER devices_announce_truncate ON devices",
    "DROP TRIGGER device_installs_announce ON device_installs",
    "DROP TRIGGER device_installs_announce_truncate ON device_installs",
    "DROP FUNCTION slipway_announce_device()",
    "DROP TABLE device_changes",
];

const SQLITE_CREATE: &[&str] = &[
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

const SQLITE_DROP: &[&str] = &[
    "DROP TRIGGER devices_announce_insert",
    "DROP TRIGGER devices_announce_delete",
    "DROP TRIGGER devices_announce_update",
    "DROP TRIGGER device_installs_announce_insert",
    "DROP TRIGGER device_installs_announce_delete",
    "DROP TRIGGER device_installs_announce_update",
    "DROP TABLE device_recording",
    "DROP TABLE device_changes",
];
