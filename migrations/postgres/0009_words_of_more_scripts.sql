-- The analysis with other stems of Arabic and Hindi, and more ways to write a word
-- (version 6).
-- Applied by the crate, or by hand after 0008:
-- psql --single-transaction --file 0009_words_of_more_scripts.sql "$DATABASE_URL"

-- Opening a store converts the rows of older versions in the background.
DROP INDEX idx_memory_outdated;
CREATE INDEX idx_memory_outdated ON memory (entity_id, memory_id) WHERE analysis < 6;

INSERT INTO memory_schema (version) VALUES (9);
