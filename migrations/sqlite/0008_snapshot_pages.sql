-- Snapshot pages: what a reader made of the memories of 128 consecutive numbers, all of
-- them assigned, so that it does not analyze their texts again
-- (src/snapshot_pages.rs). The key is that of any of their rows, divided by 128.
--
-- A page has content of its memories. Whatever writes, archives or deletes one of them
-- deletes the page here, in the same transaction; vectors are written together with the
-- version of their memory, but those of other models are removed without it. A new memory
-- has a number that no page has yet.
CREATE TABLE snapshot_page (
    page_key  INTEGER PRIMARY KEY,
    -- The embedding space that its vectors are of, and the reader's version.
    space_key INTEGER NOT NULL,
    format    INTEGER NOT NULL,
    checksum  INTEGER NOT NULL,
    content   BLOB    NOT NULL
) STRICT;

CREATE TRIGGER memory_snapshot_updated AFTER UPDATE ON memory BEGIN
    DELETE FROM snapshot_page WHERE page_key = OLD.memory_key >> 7;
END;
CREATE TRIGGER memory_snapshot_deleted AFTER DELETE ON memory BEGIN
    DELETE FROM snapshot_page WHERE page_key = OLD.memory_key >> 7;
END;
CREATE TRIGGER memory_snapshot_vectors_deleted AFTER DELETE ON memory_embedding BEGIN
    DELETE FROM snapshot_page
    WHERE space_key = OLD.embedding_key >> 32
        AND page_key = (
            SELECT (entity_key << 25) + ((OLD.embedding_key & 4294967295) >> 7)
            FROM embedding_space WHERE space_key = OLD.embedding_key >> 32
        );
END;
