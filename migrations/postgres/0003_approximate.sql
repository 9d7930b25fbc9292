-- Approximate indexes, which maintenance makes for very large entities. Applied
-- by the crate, or by hand after 0002: psql --single-transaction --file
-- 0003_approximate.sql "$DATABASE_URL"

-- Which there are. The indexes themselves are partial ones on memory_embedding.
CREATE TABLE memory_approximate (
    index_name text PRIMARY KEY,
    entity_id text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    dimensions integer NOT NULL,
    -- hnsw or ivfflat, and how it was built.
    method text NOT NULL,
    parameters text NOT NULL,
    -- How many vectors there were.
    built_rows bigint NOT NULL,
    built_at timestamptz NOT NULL DEFAULT now()
);

-- Whether an entity has vectors that approximate indexes, which hold half
-- precision, would miss. Empty where all are kept so.
CREATE INDEX idx_memory_embedding_single ON memory_embedding (entity_id, model)
    WHERE single IS NOT NULL AND NOT archived;

INSERT INTO memory_schema (version) VALUES (3);
