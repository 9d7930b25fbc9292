-- Episodes: the live memories of a context in the order of time, so that the
-- neighbors of a memory are found without reading the others.
CREATE INDEX memory_by_context ON memory (entity_key, context, timestamp, memory_id)
    WHERE context IS NOT NULL AND archived_by IS NULL;
