-- Snapshot pages: what a reader made of some memories of an entity, so that it does not
-- analyze their texts again. Applied by the crate, or by hand after 0009:
-- psql --single-transaction --file 0010_snapshot_pages.sql "$DATABASE_URL"

-- A page has content of its memories. Whatever writes, archives or removes one of them
-- deletes the page in the same transaction (src/snapshot_pages/discard.rs).
CREATE TABLE snapshot_page (
    entity_id text COLLATE "C" NOT NULL,
    -- Its memories are the live ones with ids from first_id to last_id. No two pages of an
    -- entity overlap.
    last_id uuid NOT NULL,
    first_id uuid NOT NULL,
    -- The model of its vectors, and the reader's version.
    model text COLLATE "C" NOT NULL,
    format bigint NOT NULL,
    checksum bigint NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (entity_id, last_id)
);
-- Bytes that hardly compress.
ALTER TABLE snapshot_page ALTER COLUMN content SET STORAGE EXTERNAL;

-- It belongs to whom the other tables belong, and who may use them may use it; where
-- policies say of which entities (row_level_security.sql), they say so of it. On a server
-- that spreads tables by entity (Citus), so is this one.
DO $$
DECLARE
    other record;
    given record;
BEGIN
    SELECT c.relowner, c.relrowsecurity INTO other
    FROM pg_class c WHERE c.oid = 'memory_access'::regclass;
    IF other.relowner <> (SELECT c.relowner FROM pg_class c WHERE c.oid = 'snapshot_page'::regclass) THEN
        EXECUTE format('ALTER TABLE snapshot_page OWNER TO %s', other.relowner::regrole);
    END IF;
    IF other.relrowsecurity THEN
        ALTER TABLE snapshot_page ENABLE ROW LEVEL SECURITY;
        ALTER TABLE snapshot_page FORCE ROW LEVEL SECURITY;
        CREATE POLICY memory_named ON snapshot_page USING (entity_id = ANY ((SELECT coalesce(
            nullif(current_setting('memory.entities', true), ''), '{}')::text[])::text[]));
    END IF;
    FOR given IN
        SELECT a.privilege_type,
            CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
        FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
        WHERE c.oid = 'memory_access'::regclass AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT %s ON snapshot_page TO %s', given.privilege_type, given.grantee);
    END LOOP;
    IF EXISTS (SELECT FROM pg_extension x WHERE x.extname = 'citus') THEN
        PERFORM set_config('citus.multi_shard_modify_mode', 'sequential', true);
        IF EXISTS (SELECT FROM pg_dist_partition d
                   WHERE d.logicalrelid = 'entity'::regclass AND d.partmethod = 'h') THEN
            PERFORM create_distributed_table('snapshot_page', 'entity_id', colocate_with => 'entity');
        END IF;
    END IF;
END
$$;

-- The entity has pages of no ids above this; NULL where it has none.
ALTER TABLE entity ADD COLUMN paged_until uuid;
-- The generation up to which pages were deleted with their memories. Where the entity has
-- a later one, an older program has written, which knows no pages: none is read.
ALTER TABLE entity ADD COLUMN paged_at bigint;

INSERT INTO memory_schema (version) VALUES (10);
