-- Compaction of tombstones.
--
-- An entity keeps at most as many tombstones as it has live memories, or 1,000
-- if that is more. Beyond it, the oldest half is dropped, and tombstone_floor
-- becomes the newest version among them: a reader whose generation is below the
-- floor reads the whole state again.

-- The number of tombstones, or more: inserting an id again deletes its
-- tombstone and does not count down. Counted exactly before a compaction.
ALTER TABLE entity ADD COLUMN tombstone_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE entity ADD COLUMN tombstone_floor INTEGER NOT NULL DEFAULT 0;

UPDATE entity SET tombstone_count = t.tombstones
FROM (SELECT entity_key, count(*) AS tombstones FROM memory_tombstone GROUP BY entity_key) AS t
WHERE t.entity_key = entity.entity_key;
