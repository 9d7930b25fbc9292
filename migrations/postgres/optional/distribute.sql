-- Distributes the tables over the nodes of a Citus cluster (Citus 12 or newer), all
-- rows of an entity to the same node. Applied by hand, once, as the owner of the
-- tables, after the numbered migrations and while nothing writes:
--
--     psql --single-transaction --set ON_ERROR_STOP=1 --file distribute.sql "$DATABASE_URL"
--
-- Rows that exist already are moved. Later migrations need no more than to be applied.

-- All within one transaction needs one connection for each node.
SET citus.multi_shard_modify_mode = 'sequential';

-- Tables of other applications are not put next to these, hence a group of their own.
SELECT create_distributed_table('entity', 'entity_id', colocate_with => 'none');
SELECT create_distributed_table('memory', 'entity_id', colocate_with => 'entity');
SELECT create_distributed_table('memory_embedding', 'entity_id', colocate_with => 'entity');
SELECT create_distributed_table('memory_access', 'entity_id', colocate_with => 'entity');
SELECT create_distributed_table('memory_entity', 'entity_id', colocate_with => 'entity');
SELECT create_distributed_table('memory_tombstone', 'entity_id', colocate_with => 'entity');
SELECT create_distributed_table('snapshot_page', 'entity_id', colocate_with => 'entity');

-- Opening a store reads these, on whichever node the application connects to.
SELECT create_reference_table('memory_schema');
SELECT create_reference_table('memory_approximate');
