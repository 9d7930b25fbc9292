-- Analyzing texts again in the background (src/reindex.rs), while searches go on.
--
-- How many conversions to another version of the analysis have begun. A page of words has
-- the number of the conversion that it was made in: a page with another number has words of
-- an older version, and is made again. Its memories have word counts of the current version
-- as well.
ALTER TABLE text_analysis ADD COLUMN conversion INTEGER NOT NULL DEFAULT 0;
ALTER TABLE word_page ADD COLUMN conversion INTEGER NOT NULL DEFAULT 0;
-- Of a conversion that has not ended, the pages of both versions are there.
UPDATE text_analysis SET conversion = 1 WHERE version < 0;

-- Snapshot pages have no word counts, so that they stay when these are converted.
DROP TRIGGER memory_snapshot_updated;
CREATE TRIGGER memory_snapshot_updated
AFTER UPDATE OF memory_key, entity_key, memory_id, kind, content, timestamp, importance,
    decay_rate, context, metadata, related, entities, tags, version, archived_by ON memory
BEGIN
    DELETE FROM snapshot_page WHERE page_key = OLD.memory_key >> 7;
END;
