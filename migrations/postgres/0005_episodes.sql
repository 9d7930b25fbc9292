-- Episodes. Applied by the crate, or by hand after 0004:
-- psql --single-transaction --file 0005_episodes.sql "$DATABASE_URL"

-- The live memories of a context in the order of time, so that the neighbors of a
-- memory are found without reading the others. By a digest: a context may be
-- longer than an entry of an index.
CREATE INDEX idx_memory_context ON memory (entity_id, md5(context), timestamp, memory_id)
    WHERE archived_by IS NULL AND context IS NOT NULL;

INSERT INTO memory_schema (version) VALUES (5);
