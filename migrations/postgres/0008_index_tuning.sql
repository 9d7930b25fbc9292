-- What index maintenance chose for each large entity, and whether it is used.
-- Applied by the crate, or by hand after 0007:
-- psql --single-transaction --file 0008_index_tuning.sql "$DATABASE_URL"

-- How widely a search scans the index: hnsw.ef_search or ivfflat.probes. NULL while none
-- was chosen: the index was built, and nobody knows yet whether it is of use.
ALTER TABLE memory_approximate ADD COLUMN search_width integer;
-- The recall that was to be reached.
ALTER TABLE memory_approximate ADD COLUMN target_recall double precision;
-- Why there is no index, in rows with the method 'none'. They have no index of their
-- name, and keep maintenance from trying in vain every night.
ALTER TABLE memory_approximate ADD COLUMN reason text;
-- pg_stat_user_indexes.idx_scan after the last maintenance, which scans the index itself,
-- and since when it was not beyond that.
ALTER TABLE memory_approximate ADD COLUMN scans bigint NOT NULL DEFAULT 0;
ALTER TABLE memory_approximate ADD COLUMN unused_since timestamptz NOT NULL DEFAULT now();

-- The widths that searches had until now where nothing else was configured.
UPDATE memory_approximate SET search_width = CASE method WHEN 'hnsw' THEN 100 ELSE 20 END;

INSERT INTO memory_schema (version) VALUES (8);
