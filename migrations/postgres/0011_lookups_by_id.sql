-- Plans of an entity that has grown since the statistics were made. Applied by the crate, or
-- by hand after 0010: psql --single-transaction --file 0011_lookups_by_id.sql "$DATABASE_URL"

-- As every writer does first, so that none waits for this while this waits for it. Reads go
-- on until the old indexes are dropped, which takes an instant.
LOCK TABLE entity IN EXCLUSIVE MODE;

-- Where the statistics know of no or few memories of an entity, the server took all of them
-- for a row or two, and any index that begins with the entity for as good as one that has
-- what is asked for: looking up one memory by its id read all of them.

-- An entity of which the statistics know nothing is taken to have a hundred rows, whatever
-- the others have. A distributed server refuses to set it.
DO $$
DECLARE
    name text;
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        RETURN;
    END IF;
    FOREACH name IN ARRAY ARRAY['memory', 'memory_embedding', 'memory_access', 'memory_entity',
                                'memory_tombstone']
    LOOP
        EXECUTE format('ALTER TABLE %I ALTER COLUMN entity_id SET (n_distinct = -0.01)', name);
        EXECUTE format('ANALYZE %I (entity_id)', name);
    END LOOP;
END
$$;

-- A statement may use these only if it says that the version is greater than 0, as all are.
CREATE INDEX idx_memory_changes ON memory (entity_id, version) WHERE version > 0;
CREATE INDEX idx_memory_tombstone_changes ON memory_tombstone (entity_id, version)
    WHERE version > 0;

-- Last, since nobody reads the tables from here until the end of the transaction.
DROP INDEX idx_memory_entity_version;
DROP INDEX idx_memory_tombstone_version;

INSERT INTO memory_schema (version) VALUES (11);
