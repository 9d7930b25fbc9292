-- Terms that the application makes, in place of English lexemes that the server makes.
-- Applied by the crate, or by hand after 0005:
-- psql --single-transaction --file 0006_terms.sql "$DATABASE_URL"

-- The version of the analysis (memory_text::ANALYSIS_VERSION) that lexemes and
-- word_count are of; 0 where the server made the lexemes. In lexemes of the application,
-- a term has one position, which is how often it occurs. Opening a store converts rows of
-- an older version in the background (src/reindex.rs).
ALTER TABLE memory ADD COLUMN analysis integer NOT NULL DEFAULT 0;

-- What the server made stays until a row is converted, so that it is found meanwhile. A
-- distributed table cannot keep it: until then, searches make it of the content.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        ALTER TABLE memory DROP COLUMN lexemes;
        ALTER TABLE memory ADD COLUMN lexemes tsvector;
        CREATE INDEX idx_memory_lexemes ON memory USING gin (entity_id, lexemes)
            WHERE archived_by IS NULL;
    ELSE
        ALTER TABLE memory ALTER COLUMN lexemes DROP EXPRESSION;
        ALTER TABLE memory ALTER COLUMN lexemes DROP NOT NULL;
    END IF;
END
$$;

-- The memories that are to be converted. Empty when that is done; a new version of the
-- analysis needs a migration that replaces it.
CREATE INDEX idx_memory_outdated ON memory (entity_id, memory_id) WHERE analysis < 4;

INSERT INTO memory_schema (version) VALUES (6);
