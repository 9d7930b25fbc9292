-- Counts tombstones again: under row-level security, earlier programs applied 0004 while the
-- policies hid them. Applied by the crate, or by hand after 0012, as a role that bypasses
-- policies: psql --single-transaction --file 0013_tombstone_counts.sql "$DATABASE_URL"

-- As every writer does first: what is counted does not change until the count is written.
LOCK TABLE entity IN EXCLUSIVE MODE;

UPDATE entity e SET tombstone_count = t.tombstones
    FROM (SELECT entity_id, count(*) AS tombstones FROM memory_tombstone GROUP BY entity_id) t
    WHERE t.entity_id = e.entity_id AND t.tombstones > e.tombstone_count;

INSERT INTO memory_schema (version) VALUES (13);
