-- Memories that a summary stands for. Applied by the crate, or by hand after
-- 0001: psql --single-transaction --file 0002_archive.sql "$DATABASE_URL"

-- The summary that stands for a memory; NULL while the memory is live.
ALTER TABLE memory ADD COLUMN archived_by uuid;
-- The same of its vectors, so that searching them needs no other table.
ALTER TABLE memory_embedding ADD COLUMN archived boolean NOT NULL DEFAULT false;
-- memory_count and word_count are those of live memories.
ALTER TABLE entity ADD COLUMN archived_count bigint NOT NULL DEFAULT 0;

-- What finds live memories holds live memories alone: an entity may archive
-- far more than it keeps.
DROP INDEX idx_memory_entity_timestamp;
CREATE INDEX idx_memory_entity_timestamp ON memory (entity_id, timestamp, memory_id)
    WHERE archived_by IS NULL;
DROP INDEX idx_memory_entity_kind_timestamp;
CREATE INDEX idx_memory_entity_kind_timestamp ON memory (entity_id, kind, timestamp, memory_id)
    WHERE archived_by IS NULL;
DROP INDEX idx_memory_lexemes;
CREATE INDEX idx_memory_lexemes ON memory USING gin (entity_id, lexemes)
    WHERE archived_by IS NULL;
DROP INDEX idx_memory_tags;
CREATE INDEX idx_memory_tags ON memory USING gin (entity_id, tags)
    WHERE archived_by IS NULL;
DROP INDEX idx_memory_metadata;
CREATE INDEX idx_memory_metadata ON memory USING gin (entity_id, metadata jsonb_path_ops)
    WHERE archived_by IS NULL;

DROP INDEX idx_memory_embedding;
CREATE INDEX idx_memory_embedding ON memory_embedding (entity_id, model, memory_id)
    INCLUDE (half, single) WHERE compact AND NOT archived;
DROP INDEX idx_memory_embedding_large;
CREATE INDEX idx_memory_embedding_large ON memory_embedding (entity_id, model, memory_id)
    WHERE NOT compact AND NOT archived;

-- The sources of a summary, and archived memories at all.
CREATE INDEX idx_memory_archived ON memory (entity_id, archived_by, timestamp, memory_id)
    WHERE archived_by IS NOT NULL;
-- Who links to a memory. Most link to none, and cost nothing here.
CREATE INDEX idx_memory_related ON memory USING gin (entity_id, related)
    WHERE related <> '{}';

INSERT INTO memory_schema (version) VALUES (2);
