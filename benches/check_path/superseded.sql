-- The newest release for everybody supersedes the older ones of its resource, except mandatory ones.
UPDATE releases r SET effective = false
FROM (SELECT tenant_id, app_id, identifier, max(version_code) AS version_code FROM releases
    WHERE rollout_share = 10000 AND targeting = '{"org_scopes":[],"org_exclusions":[],"device_types":[],'
        || '"host_version_min":null,"host_version_max":null,"attribute_rules":[],"device_ids":[]}'
    GROUP BY tenant_id, app_id, identifier) newest
WHERE (r.tenant_id, r.app_id, r.identifier) = (newest.tenant_id, newest.app_id, newest.identifier)
    AND r.version_code < newest.version_code AND NOT r.mandatory;
