-- Row-level security, for those who choose it: a transaction sees, and writes,
-- nothing but the entities that it names beforehand in memory.entities. Applied
-- by the crate with PgOptions::row_level_security, or by hand, as the owner of
-- the tables, after the numbered migrations. Harmless to repeat.
--
-- What a policy asks is asked once a statement and not once a row, hence the
-- sub-select. Only the names of entities can be read without naming them, with
-- memory.names.

DO $$
DECLARE
    of text;
BEGIN
    FOREACH of IN ARRAY ARRAY['entity', 'memory', 'memory_embedding', 'memory_access',
                              'memory_entity', 'memory_tombstone', 'memory_approximate',
                              'snapshot_page']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', of);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', of);
        EXECUTE format('DROP POLICY IF EXISTS memory_named ON %I', of);
        EXECUTE format(
            'CREATE POLICY memory_named ON %I USING (entity_id = ANY ((SELECT coalesce('
            'nullif(current_setting(''memory.entities'', true), ''''), ''{}'')::text[])::text[]))', of);
    END LOOP;
END
$$;

DROP POLICY IF EXISTS memory_names ON entity;
CREATE POLICY memory_names ON entity FOR SELECT
    USING ((SELECT current_setting('memory.names', true)) = 'on');
