-- Computes which releases of a resource checks can depend on. Only flags that change are written.
--
-- A check can choose, among the releases of each API level, from the newest one for everybody with this or a lower
-- level upwards; from the same below each ceiling of a pin; and from pinned versions. Releases of the levels beyond
-- the first 16 are never superseded.
--
-- The cost grows with the numbers of pins, of levels and of changed flags. It does not grow with the number of
-- releases, because each part reads a range of a partial index:
--   * Conditions on releases are written as the indexes have them.
--   * A lateral join with OFFSET 0 limits the range. Without statistics PostgreSQL expects one release, and would
--     compare each release of the resource with each row on the left.
--   * Damage is read as a value, because a join would keep the index from being read in order.
--   * An array is computed once. A subquery could be computed again for each release.
--   * The releases to write are selected by tenant and id alone: with the app, another index would fit, too.
CREATE FUNCTION refresh_effective_releases(changed_tenant bigint, changed_app uuid, changed_identifier text)
RETURNS void
LANGUAGE plpgsql
-- Planning takes longer than running, and no other plan suits another resource.
SET plan_cache_mode = force_generic_plan
AS $function$
BEGIN
    WITH RECURSIVE
    -- Levels of the resource, lowest first. Each step reads one entry of each index, where DISTINCT would read all. The
    -- last `low` is null unless there are too many.
    level (low, number) AS (
        SELECT (SELECT min(found.low) FROM (
            SELECT (
                SELECT COALESCE(r.min_sdk, 0) FROM releases r
                WHERE r.tenant_id = changed_tenant AND r.app_id = changed_app AND r.identifier = changed_identifier
                AND r.state = 'published' AND r.rollout_share = 10000 AND r.starts_at IS NULL AND r.ends_at IS NULL
                AND r.targeting = '{"org_scopes":[],"org_exclusions":[],"device_types":[],"host_version_min":null,"host_version_max":null,"attribute_rules":[],"device_ids":[]}'
                ORDER BY COALESCE(r.min_sdk, 0) LIMIT 1
            ) AS low
            UNION ALL
            SELECT (
                SELECT COALESCE(r.min_sdk, 0) FROM releases r
                WHERE r.tenant_id = changed_tenant AND r.app_id = changed_app AND r.identifier = changed_identifier
                AND r.effective AND r.state = 'published' AND NOT r.floor AND NOT r.mandatory
                ORDER BY COALESCE(r.min_sdk, 0) LIMIT 1
            ) AS low
            UNION ALL
            SELECT (
                SELECT COALESCE(r.min_sdk, 0) FROM releases r
                WHERE r.tenant_id = changed_tenant AND r.app_id = changed_app AND r.identifier = changed_identifier
                AND NOT r.effective AND r.state = 'published' AND NOT r.floor AND NOT r.mandatory
                ORDER BY COALESCE(r.min_sdk, 0) LIMIT 1
            ) AS low
        ) found), 1
        UNION ALL
        SELECT (SELECT min(found.low) FROM (
            SELECT (
                SELECT COALESCE(r.min_sdk, 0) FROM releases r
                WHERE r.tenant_id = changed_tenant AND r.app_id = changed_app AND r.identifier = changed_identifier
                AND r.state = 'published' AND r.rollout_share = 10000 AND r.starts_at IS NULL AND r.ends_at IS NULL
                AND r.targeting = '{"org_scopes":[],"org_exclusions":[],"device_types":[],"host_version_min":null,"host_version_max":null,"attribute_rules":[],"device_ids":[]}'
                AND COALESCE(r.min_sdk, 0) > level.low
                ORDER BY COALESCE(r.min_sdk, 0) LIMIT 1
            ) AS low
            UNION ALL
            SELECT (
                SELECT COALESCE(r.min_sdk, 0) FROM releases r
                WHERE r.tenant_id = changed_tenant AND r.app_id = changed_app AND r.identifier = changed_identifier
                AND r.effective AND r.state = 'published' AND NOT r.floor AND NOT r.mandatory
                AND COALESCE(r.min_sdk, 0) > level.low
                ORDER BY COALESCE(r.min_sdk, 0) LIMIT 1
            ) AS low
            UNION ALL
            SELECT (
                SELECT COALESCE(r.min_sdk, 0) FROM releases r
                WHERE r.tenant_id = changed_tenant AND r.app_id = changed_app AND r.identifier = changed_identifier
                AND NOT r.effective AND r.state = 'published' AND NOT r.floor AND NOT r.mandatory
                AND COALESCE(r.min_sdk, 0) > level.low
                ORDER BY COALESCE(r.min_sdk, 0) LIMIT 1
            ) AS low
        ) found), level.number + 1
        FROM level WHERE level.low IS NOT NULL AND level.number < 16
    ),
    ceiling (highest) AS (
        SELECT 9223372036854775807
        UNION
        SELECT p.version_code FROM pins p
        WHERE p.tenant_id = changed_tenant AND p.app_id = changed_app AND p.identifier = changed_identifier
        AND p.mode = 'ceiling'
    ),
    -- Newest release for everybody of each level, below each ceiling.
    newest (highest, low, version_code) AS (
        SELECT c.highest, l.low, COALESCE((
            SELECT r.version_code FROM releases r
            WHERE r.tenant_id = changed_tenant AND r.app_id = changed_app AND r.identifier = changed_identifier
            AND r.state = 'published' AND r.rollout_share = 10000 AND r.starts_at IS NULL AND r.ends_at IS NULL
            AND r.targeting = '{"org_scopes":[],"org_exclusions":[],"device_types":[],"host_version_min":null,"host_version_max":null,"attribute_rules":[],"device_ids":[]}'
            AND COALESCE(r.min_sdk, 0) = l.low AND r.version_code <= c.highest
            AND (
                SELECT a.damaged_at FROM artifacts a
                WHERE a.tenant_id = r.tenant_id AND a.sha256 = r.artifact_sha256
            ) IS NULL
            ORDER BY r.version_code DESC LIMIT 1
        ), 0)
        FROM ceiling c CROSS JOIN level l
        WHERE l.low IS NOT NULL
    ),
    choice (highest, low, lowest) AS (
        SELECT highest, low, max(version_code) OVER (PARTITION BY highest ORDER BY low) FROM newest
    ),
    unpinned (low, lowest) AS (
        SELECT low, lowest FROM choice WHERE highest = 9223372036854775807
    ),
    pinned (low, lowest, highest) AS (
        SELECT c.low, c.lowest, c.highest FROM choice c JOIN unpinned u ON u.low = c.low
        WHERE c.highest < u.lowest
        UNION
        SELECT u.low, p.version_code, p.version_code FROM pins p CROSS JOIN unpinned u
        WHERE p.tenant_id = changed_tenant AND p.app_id = changed_app AND p.identifier = changed_identifier
        AND p.mode = 'exact' AND p.version_code < u.lowest
    ),
    kept (id) AS (
        SELECT r.id FROM pinned k CROSS JOIN LATERAL (
            SELECT r.id FROM releases r
            WHERE r.tenant_id = changed_tenant AND r.app_id = changed_app AND r.identifier = changed_identifier
            AND r.effective AND r.state = 'published' AND NOT r.floor AND NOT r.mandatory
            AND COALESCE(r.min_sdk, 0) = k.low AND r.version_code BETWEEN k.lowest AND k.highest
            OFFSET 0
        ) r
    )
    UPDATE releases SET effective = NOT effective
    WHERE tenant_id = changed_tenant AND id = ANY (ARRAY(
        SELECT r.id FROM unpinned u CROSS JOIN LATERAL (
            SELECT r.id FROM releases r
            WHERE r.tenant_id = changed_tenant AND r.app_id = changed_app AND r.identifier = changed_identifier
            AND r.effective AND r.state = 'published' AND NOT r.floor AND NOT r.mandatory
            AND COALESCE(r.min_sdk, 0) = u.low AND r.version_code < u.lowest
            OFFSET 0
        ) r
        WHERE r.id NOT IN (SELECT id FROM kept)
        UNION ALL
        SELECT r.id FROM unpinned u CROSS JOIN LATERAL (
            SELECT r.id FROM releases r
            WHERE r.tenant_id = changed_tenant AND r.app_id = changed_app AND r.identifier = changed_identifier
            AND NOT r.effective AND r.state = 'published' AND NOT r.floor AND NOT r.mandatory
            AND COALESCE(r.min_sdk, 0) = u.low AND r.version_code >= u.lowest
            OFFSET 0
        ) r
        UNION ALL
        SELECT r.id FROM pinned k CROSS JOIN LATERAL (
            SELECT r.id FROM releases r
            WHERE r.tenant_id = changed_tenant AND r.app_id = changed_app AND r.identifier = changed_identifier
            AND NOT r.effective AND r.state = 'published' AND NOT r.floor AND NOT r.mandatory
            AND COALESCE(r.min_sdk, 0) = k.low AND r.version_code BETWEEN k.lowest AND k.highest
            OFFSET 0
        ) r
        UNION ALL
        SELECT r.id FROM level l CROSS JOIN LATERAL (
            SELECT r.id FROM releases r
            WHERE r.tenant_id = changed_tenant AND r.app_id = changed_app AND r.identifier = changed_identifier
            AND NOT r.effective AND r.state = 'published' AND NOT r.floor AND NOT r.mandatory
            AND COALESCE(r.min_sdk, 0) > l.low
            OFFSET 0
        ) r
        WHERE l.number = 16
    ));
END
$function$
