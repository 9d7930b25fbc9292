-- Search pages: copies of what a search reads of many memories, each in one row.
--
-- A page has the memories of 512 consecutive numbers, all of them assigned. Its key
-- is that of any of their rows, divided by 512. Pages are made in the background
-- from the rows (src/page_builder.rs) and can be deleted at any time: a search reads
-- the rows of those that are missing. Whatever changes a row deletes its page here,
-- in the same transaction, so that a page is never older than its rows and nothing
-- of a deleted memory is left.

-- The vectors of memory_embedding in 8 bits a component: src/vector_page.rs.
CREATE TABLE vector_page (
    page_key INTEGER PRIMARY KEY,
    checksum INTEGER NOT NULL,
    content  BLOB    NOT NULL
) STRICT;

-- Which memories contain a word, by digests of words: src/word_page.rs.
CREATE TABLE word_page (
    page_key INTEGER PRIMARY KEY,
    checksum INTEGER NOT NULL,
    content  BLOB    NOT NULL
) STRICT;

CREATE TRIGGER memory_embedding_inserted AFTER INSERT ON memory_embedding BEGIN
    DELETE FROM vector_page WHERE page_key = NEW.embedding_key >> 9;
END;
CREATE TRIGGER memory_embedding_updated AFTER UPDATE ON memory_embedding BEGIN
    DELETE FROM vector_page WHERE page_key = NEW.embedding_key >> 9;
END;
CREATE TRIGGER memory_embedding_deleted AFTER DELETE ON memory_embedding BEGIN
    DELETE FROM vector_page WHERE page_key = OLD.embedding_key >> 9;
END;

-- A new memory has a number that no page has yet. An archived one has no entry in
-- memory_words.
CREATE TRIGGER memory_words_updated
AFTER UPDATE OF content, word_count, archived_by ON memory
WHEN OLD.content IS NOT NEW.content OR OLD.word_count IS NOT NEW.word_count
    OR OLD.archived_by IS NOT NEW.archived_by
BEGIN
    DELETE FROM word_page WHERE page_key = NEW.memory_key >> 9;
END;
CREATE TRIGGER memory_words_deleted AFTER DELETE ON memory BEGIN
    DELETE FROM word_page WHERE page_key = OLD.memory_key >> 9;
END;
