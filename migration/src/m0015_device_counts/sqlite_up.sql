CREATE TABLE install_counts (
    tenant_id bigint NOT NULL REFERENCES tenants (id),
    app_id uuid_text NOT NULL,
    identifier text NOT NULL,
    version_code bigint NOT NULL,
    seen_on date_text NOT NULL,
    devices bigint NOT NULL,
    PRIMARY KEY (tenant_id, app_id, identifier, version_code, seen_on)
) WITHOUT ROWID;
CREATE INDEX install_counts_zero_idx ON install_counts (tenant_id) WHERE devices = 0;

CREATE TABLE place_counts (
    id integer PRIMARY KEY,
    tenant_id bigint NOT NULL REFERENCES tenants (id),
    places text NOT NULL,
    devices bigint NOT NULL
);
CREATE UNIQUE INDEX place_counts_places_idx ON place_counts (tenant_id, places);
CREATE INDEX place_counts_page_idx ON place_counts (tenant_id, id);
CREATE INDEX place_counts_zero_idx ON place_counts (tenant_id) WHERE devices = 0;

INSERT INTO install_counts (tenant_id, app_id, identifier, version_code, seen_on, devices)
SELECT tenant_id, app_id, identifier, version_code, substr(seen_at, 1, 10), count(*)
FROM device_installs WHERE app_id IS NOT NULL GROUP BY 1, 2, 3, 4, 5;
INSERT INTO place_counts (tenant_id, places, devices)
SELECT tenant_id, coalesce(org_info, ''), count(*) FROM devices GROUP BY 1, 2;

CREATE TRIGGER device_installs_count_insert AFTER INSERT ON device_installs WHEN NEW.app_id IS NOT NULL BEGIN
    INSERT INTO install_counts (tenant_id, app_id, identifier, version_code, seen_on, devices)
    VALUES (NEW.tenant_id, NEW.app_id, NEW.identifier, NEW.version_code, substr(NEW.seen_at, 1, 10), 1)
    ON CONFLICT DO UPDATE SET devices = devices + 1;
END;
CREATE TRIGGER device_installs_count_delete AFTER DELETE ON device_installs WHEN OLD.app_id IS NOT NULL BEGIN
    UPDATE install_counts SET devices = devices - 1
    WHERE tenant_id = OLD.tenant_id AND app_id = OLD.app_id AND identifier = OLD.identifier
        AND version_code = OLD.version_code AND seen_on = substr(OLD.seen_at, 1, 10);
END;
CREATE TRIGGER device_installs_count_update AFTER UPDATE ON device_installs
WHEN (OLD.tenant_id, OLD.identifier, OLD.version_code, substr(OLD.seen_at, 1, 10))
    <> (NEW.tenant_id, NEW.identifier, NEW.version_code, substr(NEW.seen_at, 1, 10))
    OR OLD.app_id IS NOT NEW.app_id BEGIN
    UPDATE install_counts SET devices = devices - 1
    WHERE tenant_id = OLD.tenant_id AND app_id = OLD.app_id AND identifier = OLD.identifier
        AND version_code = OLD.version_code AND seen_on = substr(OLD.seen_at, 1, 10);
    INSERT INTO install_counts (tenant_id, app_id, identifier, version_code, seen_on, devices)
    SELECT NEW.tenant_id, NEW.app_id, NEW.identifier, NEW.version_code, substr(NEW.seen_at, 1, 10), 1
    WHERE NEW.app_id IS NOT NULL
    ON CONFLICT DO UPDATE SET devices = devices + 1;
END;

CREATE TRIGGER devices_count_insert AFTER INSERT ON devices BEGIN
    INSERT INTO place_counts (tenant_id, places, devices) VALUES (NEW.tenant_id, coalesce(NEW.org_info, ''), 1)
    ON CONFLICT (tenant_id, places) DO UPDATE SET devices = devices + 1;
END;
CREATE TRIGGER devices_count_delete AFTER DELETE ON devices BEGIN
    UPDATE place_counts SET devices = devices - 1
    WHERE tenant_id = OLD.tenant_id AND places = coalesce(OLD.org_info, '');
END;
CREATE TRIGGER devices_count_update AFTER UPDATE OF tenant_id, org_info ON devices
WHEN (OLD.tenant_id, coalesce(OLD.org_info, '')) <> (NEW.tenant_id, coalesce(NEW.org_info, '')) BEGIN
    UPDATE place_counts SET devices = devices - 1
    WHERE tenant_id = OLD.tenant_id AND places = coalesce(OLD.org_info, '');
    INSERT INTO place_counts (tenant_id, places, devices) VALUES (NEW.tenant_id, coalesce(NEW.org_info, ''), 1)
    ON CONFLICT (tenant_id, places) DO UPDATE SET devices = devices + 1;
END;
