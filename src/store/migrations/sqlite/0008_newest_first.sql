-- Places fall as time goes on, so that the newest transcript comes first: FTS5 passes over what is newer than a day page by
-- page, and backwards each step begins at the first page again. The program takes everything in again when it opens the store.
INSERT INTO unsearched (transcript) SELECT transcript FROM spoken WHERE true ON CONFLICT DO NOTHING;
DELETE FROM spoken;
DROP TABLE spoken_text;
CREATE VIRTUAL TABLE spoken_text USING fts5 (words, content = '', tokenize = 'ascii', prefix = '1 2 3');
-- What is deleted leaves no terms behind.
INSERT INTO spoken_text (spoken_text, rank) VALUES ('secure-delete', 1);
