-- The catalog of :tenants tenants, each with two apps of five resources of ten releases. Keys are added by the program.
SET session_replication_role = replica;
SET synchronous_commit = off;
SET client_min_messages = warning;

CREATE FUNCTION pg_temp.id_of(kind int, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(1700000000000 + n), 12, '0') || '7' || lpad(to_hex(kind), 3, '0') || '8'
        || substr(md5(kind || ':' || n), 1, 15))::uuid
$$;
CREATE FUNCTION pg_temp.tag(kind int, n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT substr(md5('tag ' || kind || ':' || n), 1, 16)
$$;
CREATE FUNCTION pg_temp.package_of(app bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT 'com.example.t' || lpad((app / 2)::text, 5, '0') || '.' || (ARRAY['wms', 'pos'])[app % 2 + 1]
$$;
CREATE FUNCTION pg_temp.identifier_of(app bigint, resource bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_temp.package_of(app) || (ARRAY['', '.picking', '.receiving', '.returns', '.labels'])[resource + 1]
$$;

INSERT INTO tenants (id, name, enabled, offers_enabled, etag, created_at, updated_at)
SELECT 10000000 + t, 'Fresh Markets ' || t, true, true, pg_temp.tag(1, t), now(), now()
FROM generate_series(0, :tenants - 1) t;

INSERT INTO catalog_revisions (tenant_id, revision, head, position)
SELECT 10000000 + t, 101, pg_temp.tag(2, t), nextval('catalog_position') FROM generate_series(0, :tenants - 1) t;

-- A tenth of the tenants list their stores.
INSERT INTO org_directories (tenant_id, nodes, etag, updated_at)
SELECT 10000000 + t,
    (SELECT '[' || string_agg(format('{"path":["FM","%s","%s"]}', (ARRAY['EAST', 'NORTH', 'WEST'])[s % 3 + 1], 8000 + s), ',') || ']'
     FROM generate_series(0, 29) s),
    pg_temp.tag(3, t), now()
FROM generate_series(0, :tenants - 1, 10) t;

-- The flags of effective releases are those that superseded.sql computes.
INSERT INTO apps (tenant_id, id, package_name, app_name, icon_url, enabled, revision, head, effective_as_of, etag,
    created_at, updated_at)
SELECT 10000000 + a / 2, pg_temp.id_of(1, a), pg_temp.package_of(a), (ARRAY['仓库作业', 'Point of sale'])[a % 2 + 1],
    'https://cdn.example.com/icons/' || pg_temp.package_of(a) || '.png', true, 50, pg_temp.tag(4, a), 50, pg_temp.tag(5, a),
    now(), now()
FROM generate_series(0, :tenants * 2 - 1) a;

INSERT INTO package_names (tenant_id, name, app_id, position)
SELECT 10000000 + a / 2, pg_temp.package_of(a), pg_temp.id_of(1, a), 0 FROM generate_series(0, :tenants * 2 - 1) a;

INSERT INTO resources (tenant_id, app_id, identifier, name, kind, enabled, repair_on_mismatch, etag, created_at, updated_at)
SELECT 10000000 + a / 2, pg_temp.id_of(1, a), pg_temp.identifier_of(a, r), NULL,
    (ARRAY['apk', 'miniapp', 'offline_package', 'miniapp', 'config'])[r + 1], true, r = 4, pg_temp.tag(6, a * 5 + r), now(), now()
FROM generate_series(0, :tenants * 2 - 1) a, generate_series(0, 4) r;

-- Every third version is for one region, every fourth a rollout, modules ask for a host and half of them for types of
-- devices, labels for an architecture, so that there is something to pass over.
INSERT INTO releases (tenant_id, id, app_id, identifier, version_code, version_name, state, download_url, size, md5,
    update_desc, auto_install, mandatory, floor, config_json, targeting, rollout_share, rollout_unit, etag, created_at,
    updated_at, published_at, version_order)
SELECT 10000000 + n / 100, pg_temp.id_of(2, n), pg_temp.id_of(1, n / 50), pg_temp.identifier_of(n / 50, n / 10 % 5), v,
    '4.2.' || v, 'published',
    'https://cdn.example.com/' || pg_temp.identifier_of(n / 50, n / 10 % 5) || '/4.2.' || v || '/package.bin',
    1000000 + n % 90000000, md5('file ' || n),
    '修复已知问题，优化扫码速度。Faster scanning in poor light; fixes a crash when the label printer is offline (ticket '
        || n || ').',
    v % 5 = 0, v = 5, false,
    CASE WHEN n / 10 % 5 = 4 THEN '{"template":"shelf","dpi":203,"copies":1}' ELSE '{}' END,
    -- The text that the program writes: what targets nobody in particular is recognized by it.
    format('{"org_scopes":[%s],"org_exclusions":[],"device_types":[%s],"host_version_min":%s,"host_version_max":null,'
            '"attribute_rules":[%s],"device_ids":[]}',
        CASE WHEN v % 3 = 0
            THEN format('{"l1Code":"FM","l2Code":"%s"}', (ARRAY['EAST', 'NORTH', 'WEST'])[n / 100 % 3 + 1]) END,
        CASE WHEN n / 10 % 5 IN (1, 3) THEN '"10013","10021"' END,
        CASE WHEN n / 10 % 5 > 0 THEN '1' ELSE 'null' END,
        CASE WHEN n / 10 % 5 = 4 THEN '{"name":"abi","op":"in","value":["arm64-v8a","armeabi-v7a"]}' END),
    CASE WHEN v % 4 = 0 THEN 2000 ELSE 10000 END, 'device', pg_temp.tag(7, n), now(), now(), now(),
    '00000000000000000004.00000000000000000002.' || lpad(v::text, 20, '0') || '~'
FROM (SELECT n, n % 10 + 1 AS v FROM generate_series(0, :tenants::bigint * 100 - 1) n) numbered;
