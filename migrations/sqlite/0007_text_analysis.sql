-- The version of the analysis that the entries of memory_words were made with
-- (memory_text::ANALYSIS_VERSION). Opening for writing makes those of an older version
-- again, in order of their keys and in several transactions (src/reindex.rs): those up
-- to converted_key are done.
CREATE TABLE text_analysis (
    version       INTEGER NOT NULL,
    converted_key INTEGER NOT NULL
) STRICT;
INSERT INTO text_analysis (version, converted_key) VALUES (1, 0);
