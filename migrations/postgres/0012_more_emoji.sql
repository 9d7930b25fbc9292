-- The analysis with more emoji as words (version 7).
-- Applied by the crate, or by hand after 0011:
-- psql --single-transaction --file 0012_more_emoji.sql "$DATABASE_URL"

-- Opening a store converts the rows of older versions in the background.
DROP INDEX idx_memory_outdated;
CREATE INDEX idx_memory_outdated ON memory (entity_id, memory_id) WHERE analysis < 7;

INSERT INTO memory_schema (version) VALUES (12);
