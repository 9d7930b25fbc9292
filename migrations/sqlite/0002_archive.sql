-- Consolidation, limits and links.
--
-- An archived memory keeps its row, its labels and its access count. Its words
-- leave the lexical index and its vectors move to a table of their own, so
-- that searches never come by what they may not find. The counts of an entity
-- are those of its live memories.

-- The summary that stands for an archived memory.
ALTER TABLE memory ADD COLUMN archived_by BLOB CHECK (length(archived_by) = 16);
ALTER TABLE entity ADD COLUMN archived_count INTEGER NOT NULL DEFAULT 0
    CHECK (archived_count >= 0);

CREATE INDEX memory_by_summary ON memory (entity_key, archived_by)
    WHERE archived_by IS NOT NULL;

-- Lists and counts are of live memories or of archived ones, which is decided
-- within the index as well.
DROP INDEX memory_by_time;
CREATE INDEX memory_by_time ON memory (entity_key, timestamp, memory_id, kind, archived_by);

-- The keys are those that the vectors had, and will have, in memory_embedding.
CREATE TABLE archived_embedding (
    embedding_key INTEGER PRIMARY KEY,
    vectors       BLOB NOT NULL
) STRICT;

-- A link to a memory is a label, so that it is found from its end; see
-- src/labels.rs.
INSERT INTO memory_label (entity_key, label, memory_key)
SELECT m.entity_key, '>' || link.key, m.memory_key
FROM memory AS m, json_each(m.related) AS link WHERE m.related IS NOT NULL;
