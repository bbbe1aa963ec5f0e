-- In the order of the program's writes, so that neither waits for the other.
LOCK TABLE devices IN SHARE ROW EXCLUSIVE MODE;
LOCK TABLE device_installs IN SHARE ROW EXCLUSIVE MODE;

CREATE TABLE install_counts (
    tenant_id bigint NOT NULL REFERENCES tenants (id),
    app_id uuid NOT NULL,
    identifier text COLLATE "C" NOT NULL,
    version_code bigint NOT NULL,
    seen_on date NOT NULL,
    devices bigint NOT NULL,
    PRIMARY KEY (tenant_id, app_id, identifier, version_code, seen_on)
);
CREATE INDEX install_counts_zero_idx ON install_counts (tenant_id) WHERE devices = 0;

CREATE TABLE place_counts (
    id bigserial PRIMARY KEY,
    tenant_id bigint NOT NULL REFERENCES tenants (id),
    places text COLLATE "C" NOT NULL,
    devices bigint NOT NULL
);
-- Places can be longer than a key of an index.
CREATE UNIQUE INDEX place_counts_places_idx ON place_counts (tenant_id, md5(places));
CREATE INDEX place_counts_page_idx ON place_counts (tenant_id, id);
CREATE INDEX place_counts_zero_idx ON place_counts (tenant_id) WHERE devices = 0;

-- Writers append to these tables, because they would wait for each other at a row with a number.
CREATE TABLE install_count_changes (
    id bigserial PRIMARY KEY,
    tenant_id bigint NOT NULL,
    app_id uuid NOT NULL,
    identifier text COLLATE "C" NOT NULL,
    version_code bigint NOT NULL,
    seen_on date NOT NULL,
    devices bigint NOT NULL
);
CREATE TABLE place_count_changes (
    id bigserial PRIMARY KEY,
    tenant_id bigint NOT NULL,
    places text COLLATE "C" NOT NULL,
    devices bigint NOT NULL
);

-- A restore of the data alone has no search path.
CREATE FUNCTION slipway_count_installs() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO install_count_changes (tenant_id, app_id, identifier, version_code, seen_on, devices)
        SELECT tenant_id, app_id, identifier, version_code, (seen_at AT TIME ZONE 'UTC')::date, count(*)
        FROM added WHERE app_id IS NOT NULL GROUP BY 1, 2, 3, 4, 5;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO install_count_changes (tenant_id, app_id, identifier, version_code, seen_on, devices)
        SELECT tenant_id, app_id, identifier, version_code, (seen_at AT TIME ZONE 'UTC')::date, -count(*)
        FROM removed WHERE app_id IS NOT NULL GROUP BY 1, 2, 3, 4, 5;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO install_count_changes (tenant_id, app_id, identifier, version_code, seen_on, devices)
        SELECT tenant_id, app_id, identifier, version_code, (seen_at AT TIME ZONE 'UTC')::date, sum(devices)
        FROM (SELECT tenant_id, app_id, identifier, version_code, seen_at, 1 AS devices FROM added
              UNION ALL
              SELECT tenant_id, app_id, identifier, version_code, seen_at, -1 FROM removed) AS changes
        WHERE app_id IS NOT NULL GROUP BY 1, 2, 3, 4, 5 HAVING sum(devices) <> 0;
    ELSE
        DELETE FROM install_count_changes;
        DELETE FROM install_counts;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER device_installs_count_insert AFTER INSERT ON device_installs
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION slipway_count_installs();
CREATE TRIGGER device_installs_count_update AFTER UPDATE ON device_installs
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION slipway_count_installs();
CREATE TRIGGER device_installs_count_delete AFTER DELETE ON device_installs
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION slipway_count_installs();
CREATE TRIGGER device_installs_count_truncate AFTER TRUNCATE ON device_installs
    FOR EACH STATEMENT EXECUTE FUNCTION slipway_count_installs();

CREATE FUNCTION slipway_count_places() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO place_count_changes (tenant_id, places, devices)
        SELECT tenant_id, coalesce(org_info, ''), count(*) FROM added GROUP BY 1, 2;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO place_count_changes (tenant_id, places, devices)
        SELECT tenant_id, coalesce(org_info, ''), -count(*) FROM removed GROUP BY 1, 2;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO place_count_changes (tenant_id, places, devices)
        SELECT tenant_id, coalesce(org_info, ''), sum(devices)
        FROM (SELECT tenant_id, org_info, 1 AS devices FROM added
              UNION ALL
              SELECT tenant_id, org_info, -1 FROM removed) AS changes
        GROUP BY 1, 2 HAVING sum(devices) <> 0;
    ELSE
        DELETE FROM place_count_changes;
        DELETE FROM place_counts;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER devices_count_insert AFTER INSERT ON devices
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION slipway_count_places();
CREATE TRIGGER devices_count_update AFTER UPDATE ON devices
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION slipway_count_places();
CREATE TRIGGER devices_count_delete AFTER DELETE ON devices
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION slipway_count_places();
CREATE TRIGGER devices_count_truncate AFTER TRUNCATE ON devices
    FOR EACH STATEMENT EXECUTE FUNCTION slipway_count_places();

INSERT INTO install_counts (tenant_id, app_id, identifier, version_code, seen_on, devices)
SELECT tenant_id, app_id, identifier, version_code, (seen_at AT TIME ZONE 'UTC')::date, count(*)
FROM device_installs WHERE app_id IS NOT NULL GROUP BY 1, 2, 3, 4, 5;
INSERT INTO place_counts (tenant_id, places, devices)
SELECT tenant_id, coalesce(org_info, ''), count(*) FROM devices GROUP BY 1, 2;
