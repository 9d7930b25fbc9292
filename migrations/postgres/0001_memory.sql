-- The schema of memory-pg. Applied by the crate, or by hand:
--
--     psql --single-transaction --file 0001_memory.sql "$DATABASE_URL"
--
-- Every key begins with entity_id, so that the tables can be distributed by it,
-- and so that whatever one entity asks is answered from one stretch of an index.

CREATE EXTENSION IF NOT EXISTS vector;
-- Lets an inverted index begin with entity_id as well.
CREATE EXTENSION IF NOT EXISTS btree_gin;

-- Which migrations this schema has seen. The crate fills in the checksum of
-- what psql applied.
CREATE TABLE memory_schema (
    version integer PRIMARY KEY,
    checksum bytea,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- One row for each entity that was ever written to. Writers lock it: the lock
-- orders generations, and the counts hold under concurrency.
CREATE TABLE entity (
    -- Bytes decide the order of names, whatever the locale of the database.
    entity_id text COLLATE "C" PRIMARY KEY,
    generation bigint NOT NULL,
    memory_count bigint NOT NULL,
    -- Words in all its memories: with memory_count, the mean length of BM25.
    word_count bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

CREATE TABLE memory (
    entity_id text COLLATE "C" NOT NULL,
    memory_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    content text NOT NULL,
    timestamp timestamptz NOT NULL,
    importance real NOT NULL,
    decay_rate real NOT NULL,
    context text,
    metadata jsonb NOT NULL,
    related jsonb NOT NULL,
    tags text[] NOT NULL,
    -- The entity's generation when this row was last written.
    version bigint NOT NULL,
    -- Words in the content, as the application counts them.
    word_count integer NOT NULL,
    -- Signs that join words would hide their parts from a search: INC-90312 is
    -- to be found by 90312. The query is cut in the same way.
    lexemes tsvector NOT NULL GENERATED ALWAYS AS (
        to_tsvector('pg_catalog.english'::regconfig, translate(content, '-_/.:@#', '       '))
    ) STORED,
    PRIMARY KEY (entity_id, memory_id),
    CHECK (kind IN ('world', 'experience', 'opinion', 'observation'))
);

-- Pages of a list, and conditions on time.
CREATE INDEX idx_memory_entity_timestamp ON memory (entity_id, timestamp, memory_id);
CREATE INDEX idx_memory_entity_kind_timestamp ON memory (entity_id, kind, timestamp, memory_id);
-- What changed after a generation.
CREATE INDEX idx_memory_entity_version ON memory (entity_id, version);
CREATE INDEX idx_memory_lexemes ON memory USING gin (entity_id, lexemes);
CREATE INDEX idx_memory_tags ON memory USING gin (entity_id, tags);
CREATE INDEX idx_memory_metadata ON memory USING gin (entity_id, metadata jsonb_path_ops);

-- One row for each chunk of a memory. Model and precision belong to the row, so
-- that both can change while the system runs; the number of dimensions is the
-- model's affair. Kept apart from memory, so that scanning vectors reads
-- nothing else.
CREATE TABLE memory_embedding (
    entity_id text COLLATE "C" NOT NULL,
    memory_id uuid NOT NULL,
    model text COLLATE "C" NOT NULL,
    chunk integer NOT NULL,
    half halfvec,
    single vector,
    -- Whether the row fits an index entry, which holds at most 2,704 bytes.
    compact boolean NOT NULL GENERATED ALWAYS AS (
        octet_length(entity_id) + octet_length(model)
            + coalesce(2 * vector_dims(half), 4 * vector_dims(single)) <= 2600
    ) STORED,
    PRIMARY KEY (entity_id, memory_id, model, chunk),
    CHECK (num_nonnulls(half, single) = 1)
) WITH (
    -- A vector in the row costs one page less to read than one beside it.
    toast_tuple_target = 8160,
    -- An index answers alone only where vacuum has been: go there after
    -- inserts of a twentieth, not of a fifth.
    autovacuum_vacuum_insert_scale_factor = 0.05
);

-- Exact search reads this index alone; what does not fit it is found by the
-- second and read from the table.
CREATE INDEX idx_memory_embedding ON memory_embedding (entity_id, model, memory_id)
    INCLUDE (half, single) WHERE compact;
CREATE INDEX idx_memory_embedding_large ON memory_embedding (entity_id, model, memory_id)
    WHERE NOT compact;

-- Accesses, for memories that have any. No other index and room on each page:
-- every update stays on its page and touches no index.
CREATE TABLE memory_access (
    entity_id text COLLATE "C" NOT NULL,
    memory_id uuid NOT NULL,
    access_count bigint NOT NULL,
    last_accessed timestamptz,
    PRIMARY KEY (entity_id, memory_id)
) WITH (fillfactor = 70);

-- Who takes part in a memory.
CREATE TABLE memory_entity (
    entity_id text COLLATE "C" NOT NULL,
    memory_id uuid NOT NULL,
    involved_entity_id text COLLATE "C" NOT NULL,
    role text NOT NULL,
    CONSTRAINT idx_memory_entities_memory PRIMARY KEY (entity_id, memory_id, involved_entity_id)
);

CREATE INDEX idx_memory_entities_involved
    ON memory_entity (entity_id, involved_entity_id, memory_id);

-- Ids that were removed, and not inserted anew, with the generation of the
-- removal.
CREATE TABLE memory_tombstone (
    entity_id text COLLATE "C" NOT NULL,
    memory_id uuid NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (entity_id, memory_id)
);

CREATE INDEX idx_memory_tombstone_version ON memory_tombstone (entity_id, version);

INSERT INTO memory_schema (version) VALUES (1);
