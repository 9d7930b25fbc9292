-- The schema of memory-sqlite.
--
-- Keys. An entity has a small number, its entity_key. Each of its memories has
-- a memory_key: the entity's number in the upper 32 bits, a number that counts
-- up within the entity in the lower. So an entity's rows lie side by side in
-- every table, however its writes were interleaved with others', and all of an
-- entity is one range of keys.
--
-- Times are microseconds since 1970. JSON columns are NULL where they would be
-- empty. A column named version holds the entity's generation at the row's
-- last write.

CREATE TABLE entity (
    entity_key   INTEGER PRIMARY KEY CHECK (entity_key BETWEEN 1 AND 2147483647),
    entity_id    TEXT    NOT NULL UNIQUE,
    generation   INTEGER NOT NULL DEFAULT 0,
    memory_count INTEGER NOT NULL DEFAULT 0 CHECK (memory_count >= 0),
    -- Words in all of its memories: what BM25 needs for the mean length.
    word_count   INTEGER NOT NULL DEFAULT 0 CHECK (word_count >= 0),
    -- The lower half of the next memory's key; never used twice.
    next_number  INTEGER NOT NULL DEFAULT 0 CHECK (next_number BETWEEN 0 AND 4294967296),
    created_at   INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER))
) STRICT;

CREATE TABLE memory (
    memory_key INTEGER PRIMARY KEY,
    entity_key INTEGER NOT NULL REFERENCES entity,
    memory_id  BLOB    NOT NULL CHECK (length(memory_id) = 16),
    kind       INTEGER NOT NULL,
    content    TEXT    NOT NULL,
    timestamp  INTEGER NOT NULL,
    importance REAL    NOT NULL,
    decay_rate REAL    NOT NULL,
    context    TEXT,
    metadata   TEXT,
    related    TEXT,
    entities   TEXT,
    tags       TEXT,
    word_count INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    UNIQUE (entity_key, memory_id)
) STRICT;

-- The order of a list; kind goes along, so that time and kind are decided
-- within the index.
CREATE INDEX memory_by_time ON memory (entity_key, timestamp, memory_id, kind);
CREATE INDEX memory_by_version ON memory (entity_key, version);

-- What filters look for: tags, involved entities and metadata, turned around.
-- See src/labels.rs for how a label is written.
CREATE TABLE memory_label (
    entity_key INTEGER NOT NULL,
    label      TEXT    NOT NULL,
    memory_key INTEGER NOT NULL,
    PRIMARY KEY (entity_key, label, memory_key)
) STRICT, WITHOUT ROWID;

-- Access counts change with every recall, so they stand apart from what is
-- indexed.
CREATE TABLE memory_access (
    memory_key    INTEGER PRIMARY KEY REFERENCES memory ON DELETE CASCADE,
    access_count  INTEGER NOT NULL,
    last_accessed INTEGER
) STRICT;

-- Vectors of one entity by one model live in one space; only they may be
-- compared, and all of them have the same number of dimensions.
CREATE TABLE embedding_space (
    space_key   INTEGER PRIMARY KEY CHECK (space_key BETWEEN 1 AND 2147483647),
    entity_key  INTEGER NOT NULL REFERENCES entity,
    fingerprint TEXT    NOT NULL,
    dimensions  INTEGER NOT NULL,
    UNIQUE (entity_key, fingerprint)
) STRICT;

-- One row a memory: its vectors, one after the other, as little-endian f32.
-- The key is the space's number in the upper 32 bits and the lower half of the
-- memory's key in the lower, so an exact search is one sweep over a range of
-- keys in a table that holds nothing else.
CREATE TABLE memory_embedding (
    embedding_key INTEGER PRIMARY KEY,
    vectors       BLOB NOT NULL
) STRICT;

CREATE TABLE memory_tombstone (
    entity_key INTEGER NOT NULL REFERENCES entity,
    memory_id  BLOB    NOT NULL CHECK (length(memory_id) = 16),
    version    INTEGER NOT NULL,
    PRIMARY KEY (entity_key, memory_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX memory_tombstone_by_version ON memory_tombstone (entity_key, version);

-- The lexical index; its rowid is the memory_key. Words come folded, stemmed
-- and marked with their entity (src/lexical.rs), so the index
-- itself only cuts them at spaces.
CREATE VIRTUAL TABLE memory_words USING fts5 (
    words, columnsize = 0, tokenize = "ascii tokenchars '_'"
);
-- Deleting removes the words at once; else they would stay until some merge.
INSERT INTO memory_words (memory_words, rank) VALUES ('secure-delete', 1);
-- Each place of each word: term, doc (the rowid), col, offset.
CREATE VIRTUAL TABLE memory_word_place USING fts5vocab (memory_words, instance);
