-- The analysis that knows "won" from "won't" (version 5), which makes the terms of
-- version 4 and more.
-- Applied by the crate, or by hand after 0006:
-- psql --single-transaction --file 0007_contractions.sql "$DATABASE_URL"

-- Opening a store converts the rows of older versions in the background.
DROP INDEX idx_memory_outdated;
CREATE INDEX idx_memory_outdated ON memory (entity_id, memory_id) WHERE analysis < 5;

INSERT INTO memory_schema (version) VALUES (7);
