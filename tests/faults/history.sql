-- What the runner adds to the database. Each commit that advances a tenant's pair keeps, in the same transaction and
-- as its last act, all that the tenant's answers are made from, under that pair. So of every pair that a node can
-- ever name the state is known.
CREATE SCHEMA faults;

CREATE TABLE faults.history (
    tenant_id bigint NOT NULL,
    revision bigint NOT NULL,
    head text NOT NULL,
    state text NOT NULL,
    PRIMARY KEY (tenant_id, revision, head)
);

-- How long a commit may take at most, in seconds: a slow disk, or a synchronous standby far away.
CREATE TABLE faults.pace (commit_s double precision NOT NULL);
INSERT INTO faults.pace VALUES (0);

CREATE FUNCTION faults.state_of(tenant bigint) RETURNS text LANGUAGE sql AS $$
    SELECT json_build_object(
        'tenant', (SELECT to_json(t) FROM tenants t WHERE t.id = tenant),
        'directory', (SELECT d.nodes FROM org_directories d WHERE d.tenant_id = tenant),
        'apps', (SELECT coalesce(json_agg(a ORDER BY a.id), '[]') FROM apps a WHERE a.tenant_id = tenant),
        'names', (SELECT coalesce(json_agg(n ORDER BY n.position), '[]') FROM package_names n WHERE n.tenant_id = tenant),
        'resources', (SELECT coalesce(json_agg(r), '[]') FROM resources r WHERE r.tenant_id = tenant),
        'releases', (SELECT coalesce(json_agg(r ORDER BY r.id), '[]') FROM releases r WHERE r.tenant_id = tenant),
        'pins', (SELECT coalesce(json_agg(p ORDER BY p.id), '[]') FROM pins p WHERE p.tenant_id = tenant)
    )::text
$$;

CREATE FUNCTION faults.remember() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO faults.history VALUES (NEW.tenant_id, NEW.revision, NEW.head, faults.state_of(NEW.tenant_id));
    PERFORM pg_sleep(random() * commit_s) FROM faults.pace;
    RETURN NULL;
END
$$;

-- Deferred: it runs at the commit, after every statement of the transaction.
CREATE CONSTRAINT TRIGGER remember AFTER INSERT OR UPDATE ON catalog_revisions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION faults.remember();
