-- Words are folded in another way. The program indexes all transcripts again when it opens the store. The column has a new
-- name, so that an older program that still runs is refused when it writes: its terms would not be found.
INSERT INTO unsearched (transcript) SELECT transcript FROM spoken WHERE true ON CONFLICT DO NOTHING;
DROP TABLE spoken_text;
DELETE FROM spoken;

-- The terms of each and the facets of its call, separated by spaces before they come here.
CREATE VIRTUAL TABLE spoken_text USING fts5 (said, content = '', tokenize = 'ascii', prefix = '1 2 3');
-- What is deleted leaves no terms behind.
INSERT INTO spoken_text (spoken_text, rank) VALUES ('secure-delete', 1);
