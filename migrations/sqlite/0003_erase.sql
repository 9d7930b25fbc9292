-- Taking labels and tombstones away.
--
-- What is inserted into one of these views is taken out of its table, each row
-- by its whole key. A condition on all columns of the key, `IN (SELECT …)`, is
-- answered with the first column alone, and that walks through all that the
-- entity has there.

CREATE VIEW memory_label_erased AS SELECT entity_key, label, memory_key FROM memory_label;
CREATE TRIGGER memory_label_erase INSTEAD OF INSERT ON memory_label_erased BEGIN
    DELETE FROM memory_label
    WHERE entity_key = NEW.entity_key AND label = NEW.label AND memory_key = NEW.memory_key;
END;

CREATE VIEW memory_tombstone_erased AS SELECT entity_key, memory_id FROM memory_tombstone;
CREATE TRIGGER memory_tombstone_erase INSTEAD OF INSERT ON memory_tombstone_erased BEGIN
    DELETE FROM memory_tombstone
    WHERE entity_key = NEW.entity_key AND memory_id = NEW.memory_id;
END;
