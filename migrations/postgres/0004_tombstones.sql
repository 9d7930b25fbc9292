-- Limits the number of tombstones of an entity. Applied by the crate, or by hand
-- after 0003: psql --single-transaction --file 0004_tombstones.sql "$DATABASE_URL"

-- How many tombstones the entity has, at most: inserting an id again lowers their
-- number and not this one.
ALTER TABLE entity ADD COLUMN tombstone_count bigint NOT NULL DEFAULT 0;
-- Removals up to this generation may have no tombstone any more. A reader that is
-- older gets the whole state instead of the changes.
ALTER TABLE entity ADD COLUMN tombstone_floor bigint NOT NULL DEFAULT 0;

UPDATE entity e SET tombstone_count = t.tombstones
    FROM (SELECT entity_id, count(*) AS tombstones FROM memory_tombstone GROUP BY entity_id) t
    WHERE t.entity_id = e.entity_id;

INSERT INTO memory_schema (version) VALUES (4);
