-- Replaces the empty tables by tables in 16 partitions each, by a hash of entity_id.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['entity', 'memory', 'memory_embedding', 'memory_access',
                                'memory_entity', 'memory_tombstone', 'snapshot_page']
    LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO whole', name);
        EXECUTE format('CREATE TABLE %I (LIKE whole INCLUDING ALL) PARTITION BY HASH (entity_id)',
                       name);
        DROP TABLE whole;
        FOR part IN 0..15 LOOP
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 16, '
                           'REMAINDER %s)', name || '_p' || part, name, part);
        END LOOP;
    END LOOP;
END
$$;
